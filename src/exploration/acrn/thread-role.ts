/**
 * ThreadRole: the part that a thread plays. Called by: model.ts, which assigns the roles, and
 * invariants.ts, which allows each role its own moves.
 */

/**
 * `outsider`: raises upcalls or interrupt lines, and moves no slot. `hostile`: overwrites the state
 * of slot 0 of VM 0, as a faulty program that has the page could.
 */
export type ThreadRole =
  | { readonly kind: 'service-vm' | 'hostile' | 'outsider' }
  | { readonly kind: 'vcpu'; readonly vm: number; readonly vcpu: number }
  | { readonly kind: 'device'; readonly vm: number; readonly client: number };
