/**
 * Names and contents of items that come through every driver of unstorage as they are: names without what some fold or
 * cut off (`/`, `?`, capitals) or take for a folder, contents that nothing takes for JSON and turns into another type.
 *
 * A name that is too long for some is a hash instead, and the content says what it stands for.
 *
 * @module
 */
import type { Entry } from '../../core/driver.ts'
import { HoldfastError } from '../../core/errors.ts'
import { sha256 } from '../../core/sha256.ts'

/** Of one element of a name: file systems take 255. */
const LONGEST = 200

/** What has an escape of `-` and a digit of base 36; a capital letter has `_` and the small one. */
const SYMBOLS = ' !"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~'

const escape = (char: string): string =>
  /[A-Z]/.test(char) ? `_${char.toLowerCase()}` : `-${SYMBOLS.indexOf(char).toString(36)}`

/** Chunks that are not the last end in `-`, so no file stands where another name needs a folder. */
const encodeHalf = (mark: string, half: string): string =>
  (mark + half.replace(/[^a-z0-9]/g, escape)).match(new RegExp(`.{1,${LONGEST}}`, 'g'))!.join('-:')

const decodeHalf = (half: string): string =>
  half
    .slice(1)
    .replace(/([_-])(.)/g, (_, kind: string, char: string) =>
      kind === '_' ? char.toUpperCase() : SYMBOLS[Number.parseInt(char, 36)]!,
    )

/** Between a part and a key, in the name of an entry. */
export const JOIN = '\n'

/** The item that holds the entry of this name. */
export function encodeName(name: string): string {
  const [part, key] = name.split(JOIN) as [string, string]
  return `${encodeHalf('p', part)}:${encodeHalf('k', key)}`
}

/** What {@link encodeName} was given; `undefined` for an item that it did not name. */
export function decodeName(item: string): string | undefined {
  const [part, key, ...more] = item.replaceAll('-:', '').split(':')
  if (!part?.startsWith('p') || !key?.startsWith('k') || more.length > 0) return undefined
  return decodeHalf(part) + JOIN + decodeHalf(key)
}

/** The item in place of one whose name would be too long; its entry is stored with {@link encodeEntry} and a name. */
export const hashName = async (name: string): Promise<string> => `h${await sha256(name)}`

/** Whether {@link hashName} has named it. */
export const isHash = (item: string): boolean => /^h[0-9a-f]{64}$/.test(item)

type Stored = readonly [version: string, expiresAt: number | null, text: string | null, bytes?: string]

const toStored = ({ version, expiresAt, value }: Entry): Stored =>
  typeof value === 'string' ? [version, expiresAt, value] : [version, expiresAt, null, toBase64(value)]

const fromStored = (key: string, [version, expiresAt, text, bytes]: Stored): Entry => ({
  key,
  version,
  value: text ?? fromBase64(bytes!),
  expiresAt,
})

const FORMAT = 'holdfast1 '

/**
 * The content of the item of an entry.
 *
 * @param name - part and key where the item is named by a hash, the key alone by default
 */
export const encodeEntry = (entry: Entry, name: string = entry.key): string =>
  FORMAT + JSON.stringify([name, ...toStored(entry)])

/**
 * The entry in an item, and the name it was stored with.
 *
 * @throws `SERIALIZATION` for what is none
 */
export function decodeEntry(item: unknown): { readonly entry: Entry; readonly name: string } {
  if (typeof item === 'string' && item.startsWith(FORMAT)) {
    try {
      const [name, ...stored] = JSON.parse(item.slice(FORMAT.length)) as [string, ...Stored]
      return { name, entry: fromStored(name.slice(name.indexOf(JOIN) + 1), stored) }
    } catch {
      // Told below.
    }
  }
  throw new HoldfastError('SERIALIZATION', 'An item of the storage is not of holdfast, or is damaged')
}

/** What a request is about to write, as one item. */
export const encodeNote = (writes: ReadonlyMap<string, Entry | null>): string =>
  FORMAT + JSON.stringify([...writes].map(([name, entry]) => [name, entry && [entry.key, ...toStored(entry)]]))

/** What was about to be written; nothing where there is no note, or one that was cut off: that is no JSON. */
export function decodeNote(item: unknown): Map<string, Entry | null> {
  if (typeof item !== 'string' || !item.startsWith(FORMAT)) return new Map()
  try {
    const writes = JSON.parse(item.slice(FORMAT.length)) as [string, [string, ...Stored] | null][]
    return new Map(
      writes.map(([name, stored]) => [name, stored && fromStored(stored[0], stored.slice(1) as unknown as Stored)]),
    )
  } catch {
    return new Map()
  }
}

/** The content of a fence: any, it is all in the name. */
export const FENCE: string = `${FORMAT}fence`

function toBase64(bytes: Uint8Array): string {
  let binary = ''
  for (const byte of bytes) binary += String.fromCharCode(byte)
  return btoa(binary)
}

const fromBase64 = (text: string): Uint8Array => Uint8Array.from(atob(text), (char) => char.charCodeAt(0))
