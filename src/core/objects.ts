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
