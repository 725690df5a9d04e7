/**
 * A view of a driver in which every part has a prefix: several separate databases in one backend.
 *
 * @module
 */
import type { Answer, Check, Commit, Driver, EntryKey, Op, Read } from '../core/driver.ts'
import { isHoldfastError } from '../core/errors.ts'
import { encodeId } from '../core/keys.ts'
import { reused } from '../core/request-records.ts'

/**
 * Makes a driver that keeps everything under a prefix of another.
 *
 * @param driver - the driver underneath; closing the view closes it
 * @param name - the prefix, 1 to 256 UTF-8 bytes; views with different names share nothing
 * @returns the view, with the capabilities of the driver; the prefix counts toward the size of a request
 * @throws `INVALID_ARGUMENT` for a malformed name
 *
 * @example
 * ```ts
 * import { createHoldfast, memory } from 'holdfast'
 * import { prefix } from 'holdfast/prefix'
 *
 * const backend = memory()
 * const staging = createHoldfast({ driver: prefix(backend, 'staging') })
 * const production = createHoldfast({ driver: prefix(backend, 'production') })
 * await staging.state.set('greeting', 'hello')
 * console.log(await production.state.get('greeting')) // undefined
 * ```
 */
export function prefix(driver: Driver, name: string): Driver {
  // No id is encoded as an empty element, so no tenant of the driver underneath starts like this.
  const root = `${encodeId(name, 'name')}!!`

  const { limits } = driver.capabilities

  const part = (inner: string): string => root + inner
  const key = (inner: EntryKey): EntryKey => ({ part: part(inner.part), key: inner.key })

  const read = (inner: Read): Read => {
    if ('get' in inner) return { get: key(inner.get) }
    if ('range' in inner) return { range: { ...inner.range, part: part(inner.range.part) } }
    return { parts: { ...inner.parts, start: part(inner.parts.start), end: part(inner.parts.end) } }
  }

  const check = (inner: Check): Check =>
    'log' in inner ? { ...inner, log: key(inner.log) } : { ...inner, at: key(inner.at) }

  const op = (inner: Op): Op => {
    if ('put' in inner) return { ...inner, put: key(inner.put) }
    if ('append' in inner) return { ...inner, append: key(inner.append) }
    if ('delete' in inner) return { delete: key(inner.delete) }
    if ('trim' in inner) return { ...inner, trim: key(inner.trim) }
    if ('deletePart' in inner) return { deletePart: part(inner.deletePart) }
    return { deleteRange: { ...inner.deleteRange, part: part(inner.deleteRange.part) } }
  }

  const commit = (inner: Commit): Commit => ({ ...inner, checks: inner.checks.map(check), ops: inner.ops.map(op) })

  const strip = (answer: Answer): Answer =>
    answer !== null && 'parts' in answer ? { ...answer, parts: answer.parts.map((p) => p.slice(root.length)) } : answer

  return {
    name: driver.name,
    capabilities: {
      ...driver.capabilities,
      root: (driver.capabilities.root ?? '') + root,
      limits: { ...limits, keyOverhead: (limits.keyOverhead ?? 0) + root.length },
    },
    open: (options) => driver.open(options),
    async read(reads, options) {
      const { now, answers } = await driver.read(reads.map(read), options)
      return { now, answers: answers.map(strip) }
    },
    async commit({ id, commits, ...request }, options) {
      try {
        // With the prefix, a request of one view is not taken for a repeat of another view's request with the same id.
        return await driver.commit({ ...request, id: root + id, commits: commits.map(commit) }, options)
      } catch (error) {
        // The error names the caller's own id.
        throw isHoldfastError(error, 'CONFLICT') && error.details?.['id'] === root + id ? reused(id) : error
      }
    },
    close: () => driver.close(),
    ...(driver.watch && {
      watch: (listener: (parts: readonly string[]) => void) =>
        driver.watch!((parts) => {
          const ours = parts.filter((it) => it.startsWith(root)).map((it) => it.slice(root.length))
          if (ours.length > 0) listener(ours)
        }),
    }),
  }
}
