/*
 * dispatcher RANGES uniform|hot|unclaimed: a request through a dispatcher of the HSM driver's design,
 * in one thread.
 *
 * The design: a list of VMs under a reader-writer lock. For each VM a list of clients under a spin
 * lock, newest first. For each client a list of ranges under a reader-writer lock, newest first. The
 * first range of the type that contains the complete access decides, otherwise the default client.
 * The slot becomes PROCESSING and a bit is set in the client's bitmap. The client takes the lowest
 * bit, handles the request, clears the bit and sets COMPLETE by a release store. The kernel's further
 * work (waking the client's thread, the hypercall) is omitted, which favours this reference.
 *
 * The ranges and accesses are those of workload.js.
 */
#include "reference.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { PENDING = 0, COMPLETE = 1, PROCESSING = 2, FREE = 3 };
enum { PORT = 0, MMIO = 1, READ = 0 };
enum { CLIENTS = 16, ACCESSES = 16384, MAX_RANGES = 4096, ANSWER = 0x5a };

struct slot {
	uint32_t type, polling, reserved0[14];
	uint32_t direction, reserved1;
	uint64_t address, size, value, rest[4];
	uint32_t reserved2, kernel_handled, state, padding[29];
};
_Static_assert(sizeof(struct slot) == 256 && offsetof(struct slot, state) == 136, "the page's layout");

struct range {
	struct range *next;
	uint32_t type;
	uint64_t start, end;
};

struct client {
	struct client *next;
	_Atomic int ranges_lock;
	struct range *ranges;
	_Atomic unsigned long pending;
	void (*handle)(struct client *client, struct slot *slot);
	uint64_t handled;
};

struct vm {
	struct vm *next;
	int vcpus;
	bool is_clearing;
	uint32_t config_address;
	_Atomic int clients_lock;
	struct client *clients, *default_client;
	struct slot *page;
	void (*notify)(int vcpu);
};

struct access {
	uint32_t address;
	uint8_t type, direction, size;
};

static _Atomic int vms_lock;
static struct vm *vms;
static _Alignas(4096) struct slot page[16];
static struct access accesses[ACCESSES];
static unsigned int next_access;
static volatile uint64_t notified;

static void spin_lock(_Atomic int *lock)
{
	for (int expected = 0; !atomic_compare_exchange_weak(lock, &expected, 1); expected = 0)
		relax();
}

static void spin_unlock(_Atomic int *lock)
{
	atomic_store_explicit(lock, 0, memory_order_release);
}

/* A writer would make the count negative; nothing writes while this program measures. */
static void read_lock(_Atomic int *lock)
{
	while (atomic_fetch_add(lock, 1) < 0) {
		atomic_fetch_sub(lock, 1);
		relax();
	}
}

static void read_unlock(_Atomic int *lock)
{
	atomic_fetch_sub(lock, 1);
}

static struct client *find_client(struct vm *vm, const struct slot *slot)
{
	const uint64_t last = slot->address + slot->size - 1;
	bool found = false;

	for (struct client *client = vm->clients; client != NULL; client = client->next) {
		read_lock(&client->ranges_lock);
		for (struct range *range = client->ranges; range != NULL && !found; range = range->next)
			found = range->type == slot->type && slot->address >= range->start && last <= range->end;
		read_unlock(&client->ranges_lock);
		if (found)
			return client;
	}
	return vm->default_client;
}

static void complete(struct vm *vm, int vcpu)
{
	struct slot *slot = &vm->page[vcpu];
	const bool polling = slot->polling != 0;

	__atomic_store_n(&slot->state, COMPLETE, __ATOMIC_RELEASE);
	if (!polling)
		vm->notify(vcpu);
}

/* A client's turn: every request in its bitmap. */
static void serve(struct vm *vm, struct client *client)
{
	unsigned long bits;

	while ((bits = atomic_load(&client->pending)) != 0) {
		const int vcpu = __builtin_ctzl(bits);

		client->handle(client, &vm->page[vcpu]);
		atomic_fetch_and(&client->pending, ~(1ul << vcpu));
		complete(vm, vcpu);
	}
}

/* The ports for PCI configuration. The workload does not use them, but each access is checked. */
static bool is_config_access(struct vm *vm, struct slot *slot)
{
	if (slot->type != PORT || slot->address < 0xcf8 || slot->address > 0xcff)
		return false;
	vm->config_address = (uint32_t)slot->value;
	return true;
}

static void dispatch(struct vm *vm)
{
	for (int vcpu = 0; vcpu < vm->vcpus; vcpu++) {
		struct slot *slot = &vm->page[vcpu];
		struct client *client;

		if (__atomic_load_n(&slot->state, __ATOMIC_ACQUIRE) != PENDING)
			continue;
		if (vm->is_clearing || is_config_access(vm, slot)) {
			complete(vm, vcpu);
			continue;
		}
		spin_lock(&vm->clients_lock);
		client = find_client(vm, slot);
		slot->kernel_handled = client != vm->default_client;
		__atomic_store_n(&slot->state, PROCESSING, __ATOMIC_RELEASE);
		atomic_fetch_or(&client->pending, 1ul << vcpu);
		spin_unlock(&vm->clients_lock);
		serve(vm, client);
	}
}

static void upcall(void)
{
	read_lock(&vms_lock);
	for (struct vm *vm = vms; vm != NULL; vm = vm->next)
		dispatch(vm);
	read_unlock(&vms_lock);
}

/* A batch: both sides of `count` requests in turn, the vCPU's here and the HSM's in upcall(). */
static void requests(unsigned int count)
{
	struct slot *slot = &page[0];

	while (count-- > 0) {
		const struct access *access = &accesses[next_access++ % ACCESSES];

		if (__atomic_load_n(&slot->state, __ATOMIC_ACQUIRE) != FREE)
			abort();
		slot->type = access->type;
		slot->direction = access->direction;
		slot->address = access->address;
		slot->size = access->size;
		slot->value = 0;
		__atomic_store_n(&slot->state, PENDING, __ATOMIC_RELEASE);
		upcall();
		if (__atomic_load_n(&slot->state, __ATOMIC_ACQUIRE) != COMPLETE)
			abort();
		if (access->direction == READ && (uint32_t)slot->value != ANSWER)
			abort();
		__atomic_store_n(&slot->state, FREE, __ATOMIC_RELEASE);
	}
}

static void handle(struct client *client, struct slot *slot)
{
	client->handled++;
	if (slot->direction == READ)
		slot->value = ANSWER;
}

static void count_notification(int vcpu)
{
	notified += (uint64_t)vcpu + 1;
}

static struct range range_at(unsigned int number)
{
	const uint64_t pair = number >> 1;

	if ((number & 1) == 0)
		return (struct range){ NULL, PORT, 0x1000 + pair * 16, 0x1000 + pair * 16 + 7 };
	return (struct range){ NULL, MMIO, 0xd0000000 + pair * 8192, 0xd0000000 + pair * 8192 + 4095 };
}

static void make_vm(struct vm *vm, unsigned int ranges)
{
	struct client *clients[CLIENTS + 1];

	*vm = (struct vm){ .vcpus = 1, .page = page, .notify = count_notification };
	for (int i = 0; i <= CLIENTS; i++) {
		struct client *client = clients[i] = calloc(1, sizeof(*client));

		client->handle = handle;
		if (i == CLIENTS) {
			vm->default_client = client;
			break;
		}
		client->next = vm->clients;
		vm->clients = client;
	}
	for (unsigned int r = 0; r < ranges; r++) {
		struct range *range = malloc(sizeof(*range));

		*range = range_at(r);
		range->next = clients[r % CLIENTS]->ranges;
		clients[r % CLIENTS]->ranges = range;
	}
	vms = vm;
}

static uint32_t next_number(void)
{
	static uint32_t x = 1;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return x;
}

static void make_accesses(unsigned int ranges, const char *pattern)
{
	const unsigned int hot = ranges > 1 ? (ranges >> 1) | 1 : 0;

	for (int i = 0; i < ACCESSES; i++) {
		const uint32_t x = next_number();
		const bool is_hot = strcmp(pattern, "hot") == 0 && next_number() % 10 != 0;
		const struct range range = range_at(is_hot ? hot : x % ranges);
		const bool is_port = range.type == PORT;
		uint64_t address = range.start + ((x >> 8) & (is_port ? 7 : 4092));

		if (strcmp(pattern, "unclaimed") == 0)
			address += range.end - range.start + 1;
		accesses[i] = (struct access){ (uint32_t)address, (uint8_t)range.type, x >> 31, is_port ? 1 : 4 };
	}
}

int main(int argc, char **argv)
{
	const int ranges = argc > 2 ? atoi(argv[1]) : 0;
	struct vm vm;

	if (ranges < 1 || ranges > MAX_RANGES) {
		fprintf(stderr, "dispatcher RANGES uniform|hot|unclaimed\n");
		return 2;
	}
	make_vm(&vm, (unsigned int)ranges);
	make_accesses((unsigned int)ranges, argv[2]);
	for (int i = 0; i < 16; i++)
		page[i].state = FREE;
	measure(requests, 1024);
	return 0;
}
