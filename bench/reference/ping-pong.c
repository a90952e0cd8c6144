/*
 * One cache line between two spinning threads: the least cost of a round trip between two cores.
 */
#include "reference.h"

#include <pthread.h>
#include <stdlib.h>

static _Alignas(CACHE_LINE) _Atomic uint32_t word;

/* Answers each odd number with the next even one. */
static void *answer(void *unused)
{
	uint32_t seen;

	for (;;) {
		while (((seen = atomic_load_explicit(&word, memory_order_acquire)) & 1) == 0)
			relax();
		atomic_store_explicit(&word, seen + 1, memory_order_release);
	}
	return unused;
}

static void there_and_back(unsigned int count)
{
	uint32_t number = atomic_load_explicit(&word, memory_order_relaxed);

	while (count-- > 0) {
		atomic_store_explicit(&word, number + 1, memory_order_release);
		number += 2;
		while (atomic_load_explicit(&word, memory_order_acquire) != number)
			relax();
	}
}

int main(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, answer, NULL) != 0)
		return 1;
	measure(there_and_back, 512);
	fflush(stdout);
	/* The other thread never ends. */
	_Exit(0);
}
