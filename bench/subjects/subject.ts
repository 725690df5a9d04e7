import type { Durability } from 'holdfast'

/** A store with a fresh, empty directory. What a call returns is awaited where it is a promise. */
export interface Opened {
  /** Adds the event of this number, counted from 0, to the log. */
  append(n: number): unknown
  /** Stores the document of this number under its name. */
  set(n: number): unknown
  /** Reads and decodes a document. */
  get(n: number): unknown
  /** Reads and decodes the whole log of this many events; answers how many there were. */
  load(events: number): number | Promise<number>
  close(): void | Promise<void>
}

export interface Subject {
  readonly name: string
  /** What an answered write really survives where this level is asked for; left out where it cannot be had. */
  readonly survives: Readonly<Partial<Record<Durability, string>>>
  open(directory: string, durability: Durability): Promise<Opened>
}

export const POWER_LOSS = 'power loss'
export const PROCESS_DEATH = 'process death'
/** `PRAGMA synchronous` in WAL mode. */
export const SYNCHRONOUS: Readonly<Record<Durability, string>> = { strict: 'FULL', relaxed: 'NORMAL' }
