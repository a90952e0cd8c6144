/*
 * Bursts of requests after pauses, as cases/bursts.js makes them: one side writes a word and waits
 * for the answer, the other answers. Each spins for a time, then sleeps on a futex. Both are
 * machine code from the first request on and pinned to a CPU each, so what is slow here is the
 * machine: wake-ups, other programs, the host.
 *
 * Arguments: the requests of a burst, then a pause in ms and a number of bursts, any number of
 * times. The very first burst comes at once. Prints { "bursts": [[ms, …], …] }.
 */
#include "reference.h"
#include "cpu.h"

#include <linux/futex.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

/* As long as the product's two sides spin at most. */
#define REQUESTER_SPIN_NS 100000ull
#define ANSWERER_SPIN_NS 50000ull
#define SPINS_PER_CLOCK 64

struct side {
	_Alignas(CACHE_LINE) _Atomic uint32_t word;
	_Alignas(CACHE_LINE) _Atomic uint32_t sleeps;
};
static struct side there, back;

static void await(struct side *side, uint32_t value, uint64_t spin_ns)
{
	while (atomic_load(&side->word) != value) {
		uint64_t start = now_ns();

		for (unsigned int spins = 1; atomic_load_explicit(&side->word, memory_order_acquire) != value; spins++) {
			relax();
			if (spins % SPINS_PER_CLOCK == 0 && now_ns() - start > spin_ns)
				break;
		}
		atomic_store(&side->sleeps, 1);
		if (atomic_load(&side->word) != value)
			syscall(SYS_futex, &side->sleeps, FUTEX_WAIT_PRIVATE, 1, NULL, NULL, 0);
		atomic_store(&side->sleeps, 0);
	}
}

static void set(struct side *side, uint32_t value)
{
	atomic_store(&side->word, value);
	if (atomic_exchange(&side->sleeps, 0) != 0)
		syscall(SYS_futex, &side->sleeps, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void *answer(void *unused)
{
	if (pin_to(0) != 0)
		exit(1);
	for (uint32_t number = 1;; number++) {
		await(&there, number, ANSWERER_SPIN_NS);
		set(&back, number);
	}
	return unused;
}

int main(int count, char **arguments)
{
	pthread_t thread;
	uint32_t number = 0;

	if (count < 4 || pin_to(1) != 0 || pthread_create(&thread, NULL, answer, NULL) != 0)
		return 1;
	const uint32_t accesses = (uint32_t)atoi(arguments[1]);

	printf("{ \"bursts\": [");
	for (int part = 2; part + 1 < count; part += 2) {
		const int pause_us = 1000 * atoi(arguments[part]), bursts = atoi(arguments[part + 1]);

		printf(part == 2 ? "[" : "], [");
		for (int burst = 0; burst < bursts; burst++) {
			if (number > 0)
				usleep((useconds_t)pause_us);
			const uint64_t start = now_ns();

			for (uint32_t i = 0; i < accesses; i++) {
				set(&there, ++number);
				await(&back, number, REQUESTER_SPIN_NS);
			}
			printf("%s%.4f", burst == 0 ? "" : ", ", (double)(now_ns() - start) / 1e6);
		}
	}
	printf("]] }\n");
	fflush(stdout);
	_Exit(0);
}
