/*
 * A request and its completion through one slot of the page, between two spinning threads: only the
 * words that Slot and the HSM access. A slot has three cache lines in use: type at 0, the request
 * from 64 on, kernel_handled and the state at 132 and 136.
 *
 * slot-lines store: the state moves by release stores, as in the driver.
 * slot-lines exchange: by compare-and-exchange, as Slot does.
 */
#include "reference.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { PENDING = 0, COMPLETE = 1, PROCESSING = 2, FREE = 3 };
/* Offsets in 32-bit words. */
enum { TYPE = 0, POLLING = 1, DIRECTION = 16, ADDRESS = 18, SIZE = 20, VALUE = 22, KERNEL_HANDLED = 33, STATE = 34 };

static _Alignas(4096) volatile uint32_t slot[1024];
static _Alignas(CACHE_LINE) volatile uint32_t copy[8];
static bool by_exchange;

static uint32_t state(void)
{
	return __atomic_load_n(&slot[STATE], __ATOMIC_ACQUIRE);
}

static void move(uint32_t from, uint32_t to)
{
	if (!by_exchange) {
		__atomic_store_n(&slot[STATE], to, __ATOMIC_RELEASE);
		return;
	}
	if (!__atomic_compare_exchange_n(&slot[STATE], &from, to, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		abort();
}

/* The Service VM: copies the request, assigns, handles and completes it. */
static void *serve(void *unused)
{
	for (;;) {
		while (state() != PENDING)
			relax();
		copy[0] = slot[TYPE];
		copy[1] = slot[DIRECTION];
		for (int i = 0; i < 6; i++)
			copy[2 + i] = slot[ADDRESS + i];
		slot[KERNEL_HANDLED] = 1;
		move(PENDING, PROCESSING);
		slot[VALUE] = copy[2] + 1;
		if (slot[POLLING] != 0)
			abort();
		move(PROCESSING, COMPLETE);
	}
	return unused;
}

/* The vCPU: fills the slot, waits, takes the value, releases. */
static void there_and_back(unsigned int count)
{
	while (count-- > 0) {
		if (state() != FREE)
			abort();
		slot[TYPE] = 0;
		slot[DIRECTION] = 0;
		slot[ADDRESS] = count;
		slot[ADDRESS + 1] = 0;
		slot[SIZE] = 1;
		slot[SIZE + 1] = 0;
		slot[VALUE] = 0;
		slot[VALUE + 1] = 0;
		move(FREE, PENDING);
		while (state() != COMPLETE)
			relax();
		if (slot[VALUE] != count + 1)
			abort();
		move(COMPLETE, FREE);
	}
}

int main(int argc, char **argv)
{
	pthread_t thread;

	by_exchange = argc > 1 && strcmp(argv[1], "exchange") == 0;
	slot[STATE] = FREE;
	if (pthread_create(&thread, NULL, serve, NULL) != 0)
		return 1;
	measure(there_and_back, 512);
	fflush(stdout);
	_Exit(0);
}
