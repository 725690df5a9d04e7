/**
 * The driver contract: everything a backend must do to run holdfast.
 *
 * **Isolation.** A driver is strictly serializable. Every commit takes effect at one moment between its call and its
 * answer. A read sees every commit that was answered before the read began. The commits of one request take effect in
 * order, each atomic by itself, and no other request's commit comes between them.
 *
 * **Durability.** An answered commit survives what its {@link Durability} level names. A commit that fails its checks
 * or throws changes nothing.
 *
 * **Exactly once.** A request repeated under the same id within {@link Capabilities.replayWindow} takes effect once and
 * gives the same verdicts and numbers, refusals included. A request that arrives later is refused and never executed.
 *
 * Everything else (time to live, logs, snapshots, claims, retention) is written once, on top of this file. A driver
 * receives only well-formed requests within its declared limits: the database has checked them before any I/O. A driver
 * maps every error of its backend to a `HoldfastError`, and knows nothing of stores.
 *
 * The shape comes from key-value stores with one conditional write path: Deno KV's `atomic().commit()`, FoundationDB's
 * conflict ranges, DynamoDB's conditional `TransactWriteItems`.
 *
 * @module
 */

/** A stored value. Text is stored as text, bytes as bytes. Text holds no NUL and no lone surrogate. */
export type Value = string | Uint8Array

/**
 * The address of an entry. Both halves are printable ASCII (0x20-0x7E), 1 to 4096 characters, and sort by code unit.
 * `core/keys.ts` makes them.
 */
export interface EntryKey {
  /** The unit that is kept and deleted together: everything of one run, or one index. A range never spans two parts. */
  readonly part: string
  readonly key: string
}

/** One stored entry. */
export interface Entry {
  readonly key: string
  /**
   * The id of the commit that wrote the entry. Globally unique, so an equal version means that nothing changed in
   * between.
   */
  readonly version: string
  /** The value, owned by the caller; `''` if the range asked for `keysOnly`. */
  readonly value: Value
  /** When the entry expires, in milliseconds since 1970 by the backend's clock; `null` for never. */
  readonly expiresAt: number | null
}

/** The entries of one part with `start <= key < end`, in key order. */
export interface EntryRange {
  readonly part: string
  readonly start: string
  readonly end: string
  /** The most entries to return, 1 to {@link Limits.rangeEntries}. A driver may return fewer and set `more`. */
  readonly limit: number
  /** Reads from the end to the start. */
  readonly reverse?: boolean
  /** Leaves the values out: every `value` is `''`. */
  readonly keysOnly?: boolean
}

/** The names of the parts that hold an entry, in order. A part that holds only expired entries may be listed too. */
export interface PartRange {
  readonly start: string
  readonly end: string
  readonly limit: number
}

/** One question of a read request. */
export type Read = { readonly get: EntryKey } | { readonly range: EntryRange } | { readonly parts: PartRange }

/** A page of a range. `more` is true if the range holds further entries after the last one returned. */
export interface EntryPage {
  readonly entries: readonly Entry[]
  readonly more: boolean
}

/** A page of part names. */
export interface PartPage {
  readonly parts: readonly string[]
  readonly more: boolean
}

/** The answer to one question: an entry or `null` for a get, a page for a range, names for parts. */
export type Answer = Entry | null | EntryPage | PartPage

/** The answers of a read request, in the order of the questions, all from one consistent view. */
export interface ReadAnswer {
  /** The backend's clock, in milliseconds since 1970. */
  readonly now: number
  readonly answers: readonly Answer[]
}

/**
 * A condition for a commit to take effect. All checks of a commit are evaluated before any of its ops. A commit checks
 * a key at most once.
 */
export type Check =
  /** The entry has this version; `null` means that it is absent. An expired entry is absent. */
  | { readonly at: EntryKey; readonly version: string | null }
  /** The log under this prefix, whose key ends in `!`, ends at this number; `0` means that it is empty. */
  | { readonly log: EntryKey; readonly last: number }

/**
 * When a put entry expires: `in` so many milliseconds, or `at` a moment since 1970, both by the clock of the commit. A
 * time after 8.64e15, the last that a `Date` can hold, is stored as 8.64e15.
 */
export type Expiry = { readonly in: number } | { readonly at: number }

/**
 * One change. The ops of one commit touch a key at most once, but may append several times to one log. Deletes of
 * ranges and parts and trims are applied first, the rest in order.
 */
export type Op =
  | { readonly put: EntryKey; readonly value: Value; readonly expires?: Expiry | undefined }
  /**
   * Adds an entry to a log. Its key is the prefix followed by the next number, 16 digits. Numbers start at 1, have no
   * gaps and are assigned inside the commit. The key of the prefix ends in `!`, and only the log lives under it: if the
   * last key under it does not end in a number, the request is refused with `INVALID_ARGUMENT`. `ref` names a key of
   * the same part that receives the number as text, so that the entry can also be found under that key.
   */
  | { readonly append: EntryKey; readonly value: Value; readonly ref?: string }
  /**
   * Removes the entries of a log up to this number, or up to its end if that comes first. Numbering continues: the
   * entry with the number 0 holds, as text, the last number that was removed. Deleting that entry with all others, as a
   * range or a part, makes the log a new one that starts at 1.
   */
  | { readonly trim: EntryKey; readonly through: number }
  | { readonly delete: EntryKey }
  | { readonly deleteRange: { readonly part: string; readonly start: string; readonly end: string } }
  | { readonly deletePart: string }

/**
 * The failures that an answered commit survives. `strict`: power loss, as far as the backend can promise it. `relaxed`:
 * the death of the process. A power loss may then take the last commits, but never part of one.
 */
export type Durability = 'strict' | 'relaxed'

/** An atomic, conditional change. */
export interface Commit {
  /**
   * Globally unique. It becomes the version of every entry the commit writes. Entries carried over from elsewhere, as
   * by a restore, keep their versions: the commit that writes such an entry repeats the id that the entry had.
   */
  readonly id: string
  readonly checks: readonly Check[]
  readonly ops: readonly Op[]
  readonly durability: Durability
}

/** A batch of commits that is sent, made durable and repeated as one. */
export interface CommitRequest {
  /**
   * Globally unique. The same id means the same request, byte for byte. If the id was used before with other content, a
   * driver with a {@link Capabilities.replayWindow} throws `CONFLICT`.
   */
  readonly id: string
  readonly commits: readonly Commit[]
  /**
   * The latest time at which the request may arrive, in milliseconds since 1970 by the backend's clock. The database
   * sets it.
   *
   * A driver with a {@link Capabilities.replayWindow} refuses a request that it has no record of if the deadline has
   * passed or lies further ahead than the window. In the first case the record of an earlier arrival may already be
   * gone; in the second it could go before the deadline. The error is `UNAVAILABLE`, retryable, with the details
   * `{ late: true, now }`; `now` is the backend's clock.
   */
  readonly deadline?: number
}

/** An entry whose value may be missing because the answer had no room for it. Read it to get the value. */
export interface Current extends Omit<Entry, 'value'> {
  readonly value?: Value
}

/** A check that failed, and the current state: the entry, `null` if absent, or the end of the log. */
export interface FailedCheck {
  /** Index into the commit's checks. */
  readonly check: number
  readonly current: Current | null | { readonly last: number }
}

/**
 * The verdict on one commit. A lost race is returned, not thrown; a throw means misuse or a fault of the whole request.
 */
export type Outcome =
  /** The commit took effect. `seqs` holds one number per append, in the order of the ops. */
  | { readonly ok: true; readonly seqs: readonly number[] }
  /** The commit changed nothing. `failed` names every check that failed. */
  | { readonly ok: false; readonly failed: readonly FailedCheck[] }

/** The verdicts of a request, in the order of its commits. */
export interface CommitAnswer {
  /** The backend's clock, in milliseconds since 1970. The request judged expiry by this moment. */
  readonly now: number
  readonly outcomes: readonly Outcome[]
}

/** The most that one request may hold. Sizes count UTF-8 bytes of text, or bytes. */
export interface Limits {
  /** Size of one value. */
  readonly valueBytes: number
  /** Size of one request: all its keys, versions and values. */
  readonly requestBytes: number
  /** Extra bytes counted toward `requestBytes` for each value, added on the way to the backend; 0 by default. */
  readonly valueOverhead?: number
  /** Extra bytes counted toward `requestBytes` for each key with its part; 0 by default. */
  readonly keyOverhead?: number
  /** Number of checks and ops of one commit together. */
  readonly commitKeys: number
  readonly requestCommits: number
  readonly requestReads: number
  readonly rangeEntries: number
  /**
   * Size of one answer: keys, versions and values, plus 64 bytes for each entry. The pages of a read share it and are
   * cut to fit, but each holds at least one entry. A get is always answered. The values of failed checks share it too,
   * and those that do not fit are left out.
   */
  readonly answerBytes: number
}

/** The limits that cap a count or a size. */
export type LimitName = Exclude<keyof Limits, 'valueOverhead' | 'keyOverhead'>

/** The abilities of a backend: declared constants, never probed. The conformance suite holds a driver to them. */
export interface Capabilities {
  /** The writers allowed at the same time with all promises kept: any number of processes, or only this one. */
  readonly writers: 'many' | 'one'
  /**
   * `strict`: as promised above. `session`: reads may come from a replica, but see the caller's own writes; checks are
   * exact.
   */
  readonly reads: 'strict' | 'session'
  /** The strongest level a commit can have; `none` if everything is lost with the process. */
  readonly durability: Durability | 'none'
  /** The clock that judges expiry: one that all clients share, or this machine's. */
  readonly clock: 'shared' | 'local'
  /**
   * Whether the backend is reached over a network. If so, an outcome can be unknown, and every call costs a round trip.
   */
  readonly network: boolean
  /**
   * How long a repeated request is recognised, in milliseconds; `0` for never, where no answer can be lost on the way.
   */
  readonly replayWindow: number
  /**
   * How long the driver itself tries one call, in milliseconds. The time a call waits in the database's queue counts
   * toward it. Left out if a call cannot hang.
   */
  readonly timeout?: number
  /**
   * `hidden`: ids are stored under other names and sort in an order that is meaningless but constant. Numbers sort as
   * usual; entries with the same number sort in that constant order. Everything that would depend on the order of ids
   * throws `UNSUPPORTED`:
   * - A range or a list of parts that starts or ends at an id, inside one or between two. Three forms are still
   *   allowed: one key alone; a forward list that starts right after an entry, which is how its next page is read; and
   *   an end at an id that follows a number, which is how the next page of a reverse list is read.
   * - `reverse`, unless the range begins with something other than an id, such as a number or a status. This is known
   *   for the keys of stores. For other keys the range must start and end at numbers of one log, such as 0 and
   *   9007199254740991.
   * - `deleteRange` that starts or ends at an id, at any position in the key.
   * - A range between numbers if ids are found among them.
   *
   * A forward list therefore returns each id once, but its first page is not the first in any meaningful order. Left
   * out if ids sort as they are.
   */
  readonly idOrder?: 'hidden'
  /**
   * The prefix that all part names have in the larger store of which this is a view. A wrapper that binds values to
   * their place counts the prefix as part of the place. Left out if parts are stored under their own names.
   */
  readonly root?: string
  readonly limits: Limits
}

/** Options of every call. */
export interface CallOptions {
  /** Stops waiting. The caller then does not know whether a commit under way took effect. */
  readonly signal?: AbortSignal | undefined
}

/** Options of {@link Driver.open}. */
export interface OpenOptions extends CallOptions {
  /**
   * Another call follows at once. The driver may leave to it everything that the call checks by itself, so that the
   * first call of a process needs no extra round trip. The call then throws what opening would have thrown.
   */
  readonly ahead?: boolean
}

/** A backend that fulfils the contract of this file. */
export interface Driver {
  /** A short name for messages and metrics, such as `memory`. */
  readonly name: string
  readonly capabilities: Capabilities
  /** Connects, and creates or migrates the schema. Idempotent, and safe if ten callers in ten processes race. */
  open(options?: OpenOptions): Promise<void>
  /** Answers all questions from one consistent view in one round trip. */
  read(reads: readonly Read[], options?: CallOptions): Promise<ReadAnswer>
  /** Applies the commits in one round trip and one sync to disk. */
  commit(request: CommitRequest, options?: CallOptions): Promise<CommitAnswer>
  /**
   * Releases the backend, also while it is being opened. A handle that the caller passed in stays open. Idempotent. A
   * driver can be opened again after its close; calls in between throw `CLOSED`.
   */
  close(): Promise<void>
  /**
   * Announces changes: tells the listener which parts a commit has changed. The commit may come from this process, or
   * from any other process that the backend hears of. Absent if the backend announces nothing; a driver does not poll.
   *
   * An announcement is a hint. It may come late, twice, for no change or not at all, and expiry alone is not announced.
   * A caller that must not miss a change also polls, and acts on what it reads then. A hint never comes before its
   * commit can be read. The listener is in place once a read called after `watch` is answered: so listen first, then
   * read.
   *
   * @param listener - called outside of any call, while the driver is open
   * @returns a function that stops the announcements; idempotent
   */
  watch?(listener: (parts: readonly string[]) => void): () => void
}
