/** Objects with members that may be undefined. @module */

/** The same type with members that may be undefined made optional. */
export type Defined<T> = { readonly [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  readonly [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>
}

/** Copies an object without the members that are undefined. */
export function defined<T extends object>(members: T): Defined<T> {
  const made: Partial<T> = {}
  for (const name in members) if (members[name] !== undefined) made[name] = members[name]
  return made as unknown as Defined<T>
}

/** Copies the named members of an object, except those that are undefined. */
export function pick<T extends object, K extends keyof T>(from: T, names: readonly K[]): Pick<T, K> {
  const made: Partial<Pick<T, K>> = {}
  for (const name of names) if (from[name] !== undefined) made[name] = from[name]
  return made as Pick<T, K>
}

/** Compares two plain values deeply. The order of members does not matter, and an undefined member counts as absent. */
export function isSame(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (Array.isArray(a) !== Array.isArray(b)) return false
  const names = new Set([...Object.keys(a), ...Object.keys(b)])
  return [...names].every((name) => isSame(a[name as never], b[name as never]))
}
