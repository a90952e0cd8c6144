/*
 * Common parts of the references in C: a clock, a pause for spin loops, and a measurement (warm-up,
 * measured time, one line of JSON). They show the least cost of the same switches on this machine.
 */
#ifndef REFERENCE_H
#define REFERENCE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#define CACHE_LINE 64
/* A program may choose others. */
#ifndef WARM_UP_NS
#define WARM_UP_NS 50000000ull
#endif
#ifndef MEASURE_NS
#define MEASURE_NS 250000000ull
#endif

static inline uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static inline void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/*
 * Calls `batch`, which makes `count` round trips, for both times. Prints nanoseconds per round trip,
 * over all the time and in the fastest batch, which no other program disturbed.
 */
static inline void measure(void (*batch)(unsigned int count), unsigned int count)
{
	uint64_t start = now_ns();
	uint64_t before, end, quickest = UINT64_MAX, trips = 0;

	while (now_ns() - start < WARM_UP_NS)
		batch(count);
	start = end = now_ns();
	do {
		before = end;
		batch(count);
		trips += count;
		end = now_ns();
		if (end - before < quickest)
			quickest = end - before;
	} while (end - start < MEASURE_NS);
	printf("{\"value\": %.3f, \"quickest\": %.3f}\n", (double)(end - start) / (double)trips,
	       (double)quickest / (double)count);
}

#endif
