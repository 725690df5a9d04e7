/**
 * Names and contents of items, chosen so that every driver of unstorage keeps them as they are. Names have no
 * characters that some drivers fold or cut off (`/`, `?`, capitals) or take for a folder. Contents do not look like
 * JSON, which would be parsed.
 *
 * A name that is too long for some drivers is replaced by a hash, and the content then holds the name.
 *
 * @module
 */
import type { Entry } from '../../core/driver.ts'
import { HoldfastError } from '../../core/errors.ts'
import { sha256 } from '../../core/sha256.ts'
import { JOIN, keyIn } from '../shared/names.ts'

/** The longest element of a name. File systems accept 255 bytes. */
const LONGEST = 200

/** Symbols escaped as `-` and a digit of base 36. A capital letter becomes `_` and the small letter. */
const SYMBOLS = ' !"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~'

const escape = (char: string): string =>
  /[A-Z]/.test(char) ? `_${char.toLowerCase()}` : `-${SYMBOLS.indexOf(char).toString(36)}`

/** Every chunk except the last ends in `-`, so that no file has the name of a folder that another name needs. */
const encodeHalf = (mark: string, half: string): string =>
  (mark + half.replace(/[^a-z0-9]/g, escape)).match(new RegExp(`.{1,${LONGEST}}`, 'g'))!.join('-:')

const decodeHalf = (half: string): string =>
  half
    .slice(1)
    .replace(/([_-])(.)/g, (_, kind: string, char: string) =>
      kind === '_' ? char.toUpperCase() : SYMBOLS[Number.parseInt(char, 36)]!,
    )

/** The item for an entry's name. */
export function encodeName(name: string): string {
  const [part, key] = name.split(JOIN) as [string, string]
  return `${encodeHalf('p', part)}:${encodeHalf('k', key)}`
}

/** The name that {@link encodeName} made this item of; `undefined` for any other item. */
export function decodeName(item: string): string | undefined {
  const [part, key, ...more] = item.replaceAll('-:', '').split(':')
  if (!part?.startsWith('p') || !key?.startsWith('k') || more.length > 0) return undefined
  return decodeHalf(part) + JOIN + decodeHalf(key)
}

/** The item for an entry whose name is too long. {@link encodeEntry} then stores the name with the entry. */
export const hashName = async (name: string): Promise<string> => `h${await sha256(name)}`

/** Whether {@link hashName} made this item. */
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
 * Encodes an entry as the content of an item.
 *
 * @param name - part and key if the item is named by a hash; the key alone by default
 */
export const encodeEntry = (entry: Entry, name: string = entry.key): string =>
  FORMAT + JSON.stringify([name, ...toStored(entry)])

/**
 * Decodes an item as an entry and the name it was stored with.
 *
 * @throws `SERIALIZATION` for any other content
 */
export function decodeEntry(item: unknown): { readonly entry: Entry; readonly name: string } {
  if (typeof item === 'string' && item.startsWith(FORMAT)) {
    try {
      const [name, ...stored] = JSON.parse(item.slice(FORMAT.length)) as [string, ...Stored]
      return { name, entry: fromStored(keyIn(name), stored) }
    } catch {
      // Throws below.
    }
  }
  throw new HoldfastError('SERIALIZATION', 'An item of the storage is damaged, or was not written by holdfast')
}

/** Encodes the writes of a request as one item. */
export const encodeNote = (writes: ReadonlyMap<string, Entry | null>): string =>
  FORMAT + JSON.stringify([...writes].map(([name, entry]) => [name, entry && [entry.key, ...toStored(entry)]]))

/** Decodes the writes in a note. Empty if there is no note, or one that was cut off and so is not JSON. */
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

/** The content of a fence. Only its name matters. */
export const FENCE: string = `${FORMAT}fence`

function toBase64(bytes: Uint8Array): string {
  let binary = ''
  for (const byte of bytes) binary += String.fromCharCode(byte)
  return btoa(binary)
}

const fromBase64 = (text: string): Uint8Array => Uint8Array.from(atob(text), (char) => char.charCodeAt(0))
