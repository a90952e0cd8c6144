// @ts-check
import { createMachine } from '../machine.js';
export const rows = [];
export async function measure(pin) {
  const machine = await createMachine({ vcpus: 1, loop: { plan: [{ pauseMs: 0, bursts: 200 }], accesses: 50 }, pin });
  const [times] = await machine.run();
  const t = times[0]; const sum = (a, b) => t.slice(a, b).reduce((x, y) => x + y, 0); return { first2000: sum(0, 40), next2000: sum(40, 80), next6000: sum(80, 200), stalls: t.filter((x) => x > 2).length, worst: Math.max(...t) };
}
