/*
 * A client of /dev/acrn_hsm whose guest writes to a port in a loop: the time of a request, from the
 * guest to this process and back. Run by `upcall hsm`. With an argument, this process is pinned to
 * the CPU of that number.
 */
/* The other side compiles its code first. */
#define WARM_UP_NS 1500000000ull
#define MEASURE_NS 1000000000ull
#include "reference.h"
#include "cpu.h"

#include <fcntl.h>
#include <linux/acrn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#define PAGE_BYTES 4096
#define RAM_BYTES (1u << 20)

/* In real mode: mov $0x500, %dx; 1: out %al, %dx; jmp 1b */
static const uint8_t guest[] = { 0xba, 0x00, 0x05, 0xee, 0xeb, 0xfd };

static _Alignas(PAGE_BYTES) uint8_t page[PAGE_BYTES];
static int device;

/* vCPU 0 has slot 0, at the page's start. `count`: requests to complete. */
static void handle_requests(unsigned int count)
{
	struct acrn_io_request *request = (struct acrn_io_request *)page;
	struct acrn_ioreq_notify finished;

	memset(&finished, 0, sizeof(finished));
	while (count > 0) {
		ioctl(device, ACRN_IOCTL_ATTACH_IOREQ_CLIENT, 0);
		if (__atomic_load_n(&request->processed, __ATOMIC_ACQUIRE) != ACRN_IOREQ_STATE_PROCESSING)
			continue;
		ioctl(device, ACRN_IOCTL_NOTIFY_REQUEST_FINISH, &finished);
		count--;
	}
}

int main(int count, char **arguments)
{
	struct acrn_vm_creation creation = { .ioreq_buf = (uintptr_t)page };
	struct acrn_vm_memmap segment = { .type = ACRN_MEMMAP_RAM, .len = RAM_BYTES, .attr = 7 };
	struct acrn_vcpu_regs start;
	void *ram;

	if (count > 1 && pin_to(atoi(arguments[1])) != 0)
		return 1;
	if (posix_memalign(&ram, PAGE_BYTES, RAM_BYTES) != 0)
		return 1;
	device = open("/dev/acrn_hsm", O_RDWR | O_CLOEXEC);
	segment.vma_base = (uintptr_t)ram;
	if (device < 0 || ioctl(device, ACRN_IOCTL_CREATE_VM, &creation) != 0 ||
	    ioctl(device, ACRN_IOCTL_SET_MEMSEG, &segment) != 0)
		return 2;
	memcpy(ram, guest, sizeof(guest));
	memset(&start, 0, sizeof(start));
	/* Real mode: CR0 with ET and NE, a code segment of 64 KiB. */
	start.vcpu_regs.cr0 = 0x30;
	start.vcpu_regs.cs_ar = 0x9f;
	start.vcpu_regs.cs_limit = 0xffff;
	if (ioctl(device, ACRN_IOCTL_SET_VCPU_REGS, &start) != 0 || ioctl(device, ACRN_IOCTL_CREATE_IOREQ_CLIENT, 0) != 0 ||
	    ioctl(device, ACRN_IOCTL_START_VM, creation.vmid) != 0)
		return 3;
	measure(handle_requests, 32);
	fflush(stdout);
	_Exit(0);
}
