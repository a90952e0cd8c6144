/**
 * ThreadRole: the part that a thread plays. Called by: model.ts, which assigns the roles, and
 * invariants.ts, which allows each role its own moves.
 */

export type ThreadRole =
  | { readonly kind: 'service-vm' | 'hostile' | 'outsider' }
  | { readonly kind: 'vcpu'; readonly vm: number; readonly vcpu: number }
  | { readonly kind: 'device'; readonly vm: number; readonly client: number };
