/** Objects put together from what may be missing. @module */

/** Members that may be undefined are left out then, so they are optional. */
export type Defined<T> = { readonly [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  readonly [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>
}

/** The same object without the members that are undefined. */
export function defined<T extends object>(members: T): Defined<T> {
  const made: Partial<T> = {}
  for (const name in members) if (members[name] !== undefined) made[name] = members[name]
  return made as unknown as Defined<T>
}

/** The named members of an object; those that are undefined are left out. */
export function pick<T extends object, K extends keyof T>(from: T, names: readonly K[]): Pick<T, K> {
  const made: Partial<Pick<T, K>> = {}
  for (const name of names) if (from[name] !== undefined) made[name] = from[name]
  return made as Pick<T, K>
}

/** Whether two plain values are alike: whatever order members are in, and a member that is undefined is none. */
export function isSame(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (Array.isArray(a) !== Array.isArray(b)) return false
  const names = new Set([...Object.keys(a), ...Object.keys(b)])
  return [...names].every((name) => isSame(a[name as never], b[name as never]))
}
