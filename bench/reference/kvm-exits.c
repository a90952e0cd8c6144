/*
 * A guest on KVM that only writes to a port. `exits`: each write leaves the guest, and the loop
 * enters it again and does nothing else. `ioeventfd`: the kernel takes each write and adds to an
 * eventfd; the guest leaves only after 1,024 of them. Arguments: the mode, the number of vCPUs. The
 * interrupt controllers are the kernel's, as in the product.
 */
#include "reference.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define MEMORY_BYTES 0x10000
#define CODE 0x1000
#define PORT 0x500
#define RUN_WARM_UP_NS 400000000ull
#define RUN_NS 1200000000ull

/* mov dx, 0x500; out dx, al; jmp to the out */
static const uint8_t exits_code[] = {0xba, 0x00, 0x05, 0xee, 0xeb, 0xfd};
/* mov dx, 0x500; mov cx, 1024; out dx, al; loop to the out; inc dx; out dx, al; jmp to the start */
static const uint8_t event_code[] = {0xba, 0x00, 0x05, 0xb9, 0x00, 0x04, 0xee,
				     0xe2, 0xfd, 0x42, 0xee, 0xeb, 0xf3};

static int vm;
static size_t run_bytes;
static uint64_t writes_per_exit = 1;
static atomic_int measuring;
static atomic_ullong counted;
static atomic_int stopping;

static void fail(const char *what)
{
	if (errno == ENOENT || errno == EACCES || errno == EPERM)
		printf("{\"unavailable\": \"%s: %s\"}\n", what, strerror(errno));
	else
		fprintf(stderr, "%s: %s\n", what, strerror(errno));
	fflush(stdout);
	_Exit(errno == ENOENT || errno == EACCES || errno == EPERM ? 0 : 1);
}

static void *run_vcpu(void *number)
{
	struct kvm_sregs sregs;
	struct kvm_mp_state running = {.mp_state = KVM_MP_STATE_RUNNABLE};
	struct kvm_regs regs = {.rip = CODE, .rflags = 2};
	struct kvm_run *run;
	uint64_t writes = 0;
	int vcpu = ioctl(vm, KVM_CREATE_VCPU, (long)number);

	if (vcpu < 0)
		fail("KVM_CREATE_VCPU");
	run = mmap(NULL, run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	if (run == MAP_FAILED || ioctl(vcpu, KVM_GET_SREGS, &sregs) < 0)
		fail("a vCPU");
	sregs.cs.base = sregs.cs.selector = 0;
	if (ioctl(vcpu, KVM_SET_SREGS, &sregs) < 0 || ioctl(vcpu, KVM_SET_REGS, &regs) < 0 ||
	    ioctl(vcpu, KVM_SET_MP_STATE, &running) < 0)
		fail("registers");
	while (!atomic_load_explicit(&stopping, memory_order_relaxed)) {
		if (ioctl(vcpu, KVM_RUN, 0) < 0) {
			if (errno == EINTR)
				continue;
			fail("KVM_RUN");
		}
		if (run->exit_reason != KVM_EXIT_IO) {
			errno = EPROTO;
			fail("exit");
		}
		if (atomic_load_explicit(&measuring, memory_order_relaxed))
			writes += writes_per_exit;
	}
	atomic_fetch_add(&counted, writes);
	return NULL;
}

int main(int count, char **words)
{
	int is_event = count > 1 && strcmp(words[1], "ioeventfd") == 0;
	long vcpus = count > 2 ? atol(words[2]) : 1;
	pthread_t threads[16];
	uint64_t start;
	uint8_t *memory;
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (kvm < 0)
		fail("/dev/kvm");
	if (vcpus < 1 || vcpus > 16)
		return 2;
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	if (vm < 0)
		fail("KVM_CREATE_VM");
	if (ioctl(vm, KVM_SET_TSS_ADDR, 0xfffbd000) < 0 || ioctl(vm, KVM_CREATE_IRQCHIP, 0) < 0)
		fail("KVM_CREATE_IRQCHIP");
	run_bytes = (size_t)ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	memory = mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		fail("memory");
	if (is_event)
		memcpy(memory + CODE, event_code, sizeof(event_code));
	else
		memcpy(memory + CODE, exits_code, sizeof(exits_code));
	struct kvm_userspace_memory_region region = {.memory_size = MEMORY_BYTES,
						     .userspace_addr = (uint64_t)memory};

	if (ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region) < 0)
		fail("KVM_SET_USER_MEMORY_REGION");
	if (is_event) {
		struct kvm_ioeventfd event = {.addr = PORT,
					      .len = 1,
					      .fd = eventfd(0, EFD_NONBLOCK),
					      .flags = KVM_IOEVENTFD_FLAG_PIO};

		if (event.fd < 0 || ioctl(vm, KVM_IOEVENTFD, &event) < 0)
			fail("KVM_IOEVENTFD");
		writes_per_exit = 1024;
	}
	for (long vcpu = 0; vcpu < vcpus; vcpu++)
		if (pthread_create(&threads[vcpu], NULL, run_vcpu, (void *)vcpu) != 0)
			fail("pthread_create");
	usleep(RUN_WARM_UP_NS / 1000);
	start = now_ns();
	atomic_store(&measuring, 1);
	usleep(RUN_NS / 1000);
	atomic_store(&measuring, 0);
	start = now_ns() - start;
	atomic_store(&stopping, 1);
	for (long vcpu = 0; vcpu < vcpus; vcpu++)
		pthread_join(threads[vcpu], NULL);
	printf("{\"perSecond\": %.1f, \"ns\": %.1f}\n", (double)counted * 1e9 / (double)start,
	       (double)start * (double)vcpus / (double)counted);
	return 0;
}
