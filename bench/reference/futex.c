/*
 * Two threads that sleep on a futex each and wake each other: the least cost of a switch between
 * sleeping threads on Linux.
 */
#include "reference.h"

#include <linux/futex.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static _Alignas(CACHE_LINE) _Atomic uint32_t there;
static _Alignas(CACHE_LINE) _Atomic uint32_t back;

static void await_change(_Atomic uint32_t *word, uint32_t from)
{
	while (atomic_load(word) == from)
		syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, from, NULL, NULL, 0);
}

static void set(_Atomic uint32_t *word, uint32_t to)
{
	atomic_store(word, to);
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void *answer(void *unused)
{
	for (uint32_t number = 0;; number++) {
		await_change(&there, number);
		set(&back, number + 1);
	}
	return unused;
}

static void there_and_back(unsigned int count)
{
	uint32_t number = atomic_load(&there);

	for (; count-- > 0; number++) {
		set(&there, number + 1);
		await_change(&back, number);
	}
}

int main(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, answer, NULL) != 0)
		return 1;
	measure(there_and_back, 32);
	fflush(stdout);
	_Exit(0);
}
