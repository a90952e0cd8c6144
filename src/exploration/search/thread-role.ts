/** Whose thread it is, for the invariants: they say who may do what. */

export type ThreadRole =
  | { readonly kind: 'service-vm' | 'hostile' | 'outsider' }
  | { readonly kind: 'vcpu'; readonly vm: number; readonly vcpu: number }
  | { readonly kind: 'device'; readonly vm: number; readonly client: number };
