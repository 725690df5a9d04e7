/**
 * The driver contract: all that a backend has to do for holdfast.
 *
 * **Isolation.** A driver is strictly serializable: every commit takes effect at one moment between its call and its
 * answer, and a read sees every commit that was answered before the read began. The commits of one request take effect
 * in their order, each atomic by itself and with no other request's commit between them. **Durability.** A commit that
 * is answered survives what its {@link Durability} level names; one that fails its checks or throws leaves nothing
 * behind. **Exactly once.** A request repeated under the same id within {@link Capabilities.replayWindow} takes effect
 * once and gives the same verdicts and numbers, refusals included; one that arrives later is refused and never executed.
 *
 * Everything else (time to live, logs, snapshots, claims, retention) is written once, above this file. A driver
 * receives only well-formed requests inside its declared limits: the database facade has checked them before any I/O.
 * It maps whatever its backend throws to a `HoldfastError`, and knows nothing of stores.
 *
 * The shape comes from key-value stores with one conditional write path: Deno KV's `atomic().commit()`, FoundationDB's
 * conflict ranges, DynamoDB's conditional `TransactWriteItems`.
 *
 * @module
 */

/** What a backend stores: text stays text on the backend, bytes stay bytes. Text holds no NUL and no lone surrogate. */
export type Value = string | Uint8Array

/**
 * Where an entry lives. Both halves are printable ASCII (0x20-0x7E), 1 to 4096 characters, and sort by code unit;
 * `core/keys.ts` makes them.
 */
export interface EntryKey {
  /** The unit that is kept and deleted together: everything of one run, or one index. Ranges never leave a part. */
  readonly part: string
  readonly key: string
}

/** One stored entry. */
export interface Entry {
  readonly key: string
  /** The id of the commit that wrote it: globally unique, so equal versions mean nothing happened in between. */
  readonly version: string
  /** The value, owned by the caller; `''` where the range asked for `keysOnly`. */
  readonly value: Value
  /** When it expires, in milliseconds since 1970 by the backend's clock; `null` for never. */
  readonly expiresAt: number | null
}

/** The entries of one part with `start <= key < end`, in key order. */
export interface EntryRange {
  readonly part: string
  readonly start: string
  readonly end: string
  /** At most this many entries, 1 to {@link Limits.rangeEntries}. A driver may answer fewer and set `more`. */
  readonly limit: number
  /** From the end downwards. */
  readonly reverse?: boolean
  /** Leave the values out: every `value` is `''`. */
  readonly keysOnly?: boolean
}

/** The names of the parts that hold an entry (an expired one that was not yet removed may count), in order. */
export interface PartRange {
  readonly start: string
  readonly end: string
  readonly limit: number
}

/** One question of a read request. */
export type Read = { readonly get: EntryKey } | { readonly range: EntryRange } | { readonly parts: PartRange }

/** A page of a range: `more` tells that the range holds further entries behind the last one given. */
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
 * What must hold for a commit to take effect; all checks of a commit are evaluated before any of its ops. A commit checks
 * a key at most once.
 */
export type Check =
  /** The entry has this version; `null`: it is absent. An expired entry is absent. */
  | { readonly at: EntryKey; readonly version: string | null }
  /** The log under this prefix, whose key ends in `!`, ends at this number; `0`: it is empty. */
  | { readonly log: EntryKey; readonly last: number }

/**
 * When a put entry expires: after `in` milliseconds, by the clock of the commit, or `at` a moment of that clock. A moment
 * after 8.64e15, the last of a `Date`, is stored as 8.64e15, also where `in` leads there.
 */
export type Expiry = { readonly in: number } | { readonly at: number }

/**
 * One change. The ops of one commit touch a key at most once (several appends to one log are fine); deletes of ranges
 * and parts and trims are applied first, the rest in order.
 */
export type Op =
  | { readonly put: EntryKey; readonly value: Value; readonly expires?: Expiry | undefined }
  /**
   * Writes at the prefix followed by the next number, 16 digits, counted from 1 without gaps and assigned inside the
   * commit. The key of the prefix ends in `!`, and nothing but the log lives under it: where the last key under it does
   * not end in a number, the request is refused with `INVALID_ARGUMENT`. `ref` names a key of the same part that receives
   * the number as text, so that the entry can be found again by a name of its own.
   */
  | { readonly append: EntryKey; readonly value: Value; readonly ref?: string }
  /**
   * Removes the entries of a log up to this number, or up to its end where that comes first. The numbers go on: the
   * entry with the number 0 keeps, as text, the last number that was removed. Deleting that entry with all others, as a
   * range or a part, makes the log a new one that begins at 1.
   */
  | { readonly trim: EntryKey; readonly through: number }
  | { readonly delete: EntryKey }
  | { readonly deleteRange: { readonly part: string; readonly start: string; readonly end: string } }
  | { readonly deletePart: string }

/**
 * What an answered commit survives. `strict`: the loss of power, as far as the backend can promise it. `relaxed`: the
 * death of the process; the last commits before a loss of power may be missing, but none is torn.
 */
export type Durability = 'strict' | 'relaxed'

/** An atomic, conditional change. */
export interface Commit {
  /**
   * Globally unique; becomes the version of every entry it writes. Entries that are carried over from elsewhere, as by
   * a restore, keep their versions: the commits that write them repeat the id that the entry had.
   */
  readonly id: string
  readonly checks: readonly Check[]
  readonly ops: readonly Op[]
  readonly durability: Durability
}

/** A batch of commits that travels, is made durable and is repeated as one. */
export interface CommitRequest {
  /**
   * Globally unique; the same id means the same request, byte for byte. Under an id that was used with other content a
   * driver with a {@link Capabilities.replayWindow} throws `CONFLICT`.
   */
  readonly id: string
  readonly commits: readonly Commit[]
  /**
   * By when the request has to arrive, in milliseconds since 1970 by the backend's clock. A driver with a
   * {@link Capabilities.replayWindow} refuses a request that it has no record of, and whose deadline has passed or lies
   * further ahead than the window: the record of a first arrival may be gone already, or would go before the deadline.
   * The error is that of `late` in `core/requests.ts`, which tells the backend's clock. The database sets it.
   */
  readonly deadline?: number
}

/** An entry whose value may have been left out, because the answer had no room for it: read it then. */
export interface Current extends Omit<Entry, 'value'> {
  readonly value?: Value
}

/** A check that did not hold, and what is there instead: the entry, `null` where absent, or the end of the log. */
export interface FailedCheck {
  /** Index into the commit's checks. */
  readonly check: number
  readonly current: Current | null | { readonly last: number }
}

/** The verdict on one commit. A lost race is a value; throwing means misuse or a fault, of the whole request. */
export type Outcome =
  /** It took effect; `seqs` holds one number per append, in the order of the ops. */
  | { readonly ok: true; readonly seqs: readonly number[] }
  /** It changed nothing; `failed` names every check that did not hold. */
  | { readonly ok: false; readonly failed: readonly FailedCheck[] }

/** The verdicts of a request, in the order of its commits. */
export interface CommitAnswer {
  /** The backend's clock, in milliseconds since 1970: the moment by which this request judged expiry. */
  readonly now: number
  readonly outcomes: readonly Outcome[]
}

/** The most that one request may hold. Sizes are UTF-8 bytes of text, or bytes. */
export interface Limits {
  /** Of one value. */
  readonly valueBytes: number
  /** Of one request: all its keys, versions and values. */
  readonly requestBytes: number
  /** Counted toward `requestBytes` besides, for each value: what is added to it on the way. None by default. */
  readonly valueOverhead?: number
  /** The same for each key with its part. */
  readonly keyOverhead?: number
  /** Checks and ops of one commit together. */
  readonly commitKeys: number
  readonly requestCommits: number
  readonly requestReads: number
  readonly rangeEntries: number
  /**
   * Of one answer: keys, versions and values, and 64 bytes besides for each entry. Pages of a read share it and
   * are cut to it, but each gives one entry at least; a get is always answered. Values of failed checks share it, too, and
   * those that do not fit are left out.
   */
  readonly answerBytes: number
}

/** The limits that cap a count or a size. */
export type LimitName = Exclude<keyof Limits, 'valueOverhead' | 'keyOverhead'>

/** What a backend can do: constants, declared and never sniffed. The conformance suite holds a driver to them. */
export interface Capabilities {
  /** Who may write at the same time with all promises kept: any number of processes, or only this one. */
  readonly writers: 'many' | 'one'
  /** `strict`: as promised above. `session`: reads may come from a replica; own writes are seen, and checks are exact. */
  readonly reads: 'strict' | 'session'
  /** The strongest level a commit can have; `none` where all is lost with the process. */
  readonly durability: Durability | 'none'
  /** Whose clock judges expiry: one that all clients share, or this machine's. */
  readonly clock: 'shared' | 'local'
  /** Whether it needs a network: then outcomes can be unknown, and every call costs a round trip. */
  readonly network: boolean
  /** How long a repeated request is recognised, in milliseconds; `0`: not at all, no answer can be lost on the way here. */
  readonly replayWindow: number
  /**
   * How long the driver itself tries one call, in milliseconds. The database counts the wait in its queue toward it.
   * Left out where a call cannot hang.
   */
  readonly timeout?: number
  /**
   * `hidden`: ids are stored as something else, and come in an order that tells nothing but is always the same. Numbers
   * sort as always; what has the same number comes in that order, too. Whatever would depend on the order of ids throws
   * `UNSUPPORTED`:
   * - a range or a list of parts that begins or ends at an id, in the middle of one, or between two. Three can be
   *   asked for all the same: one key alone; a list forwards that begins directly behind an entry, which is how its pages
   *   go on; and an end at an id that follows a number, which is how reverse pages go on.
   * - `reverse`, unless what comes first in the range is no id: numbers, statuses. That is known of the keys of stores; of
   *   others the range has to begin and end at numbers of one log, such as 0 and 9007199254740991.
   * - `deleteRange` that begins or ends at an id, wherever it stands.
   * - a range between numbers where ids are found among them.
   *
   * So a list forwards gives each id once, and no page of it is the first in any sense. Left out where ids sort as they
   * are.
   */
  readonly idOrder?: 'hidden'
  /**
   * What the names of all parts begin with underneath, where this is a view of a larger store. A wrapper that binds values
   * to their place counts it as part of the place. Left out where parts are named as they are.
   */
  readonly root?: string
  readonly limits: Limits
}

/** Options of every call. */
export interface CallOptions {
  /** Stops waiting. Whether a commit under way took effect is then unknown to the caller. */
  readonly signal?: AbortSignal | undefined
}

/** Options of {@link Driver.open}. */
export interface OpenOptions extends CallOptions {
  /**
   * Another call follows at once. Whatever that finds out by itself may be left to it, so that the first call of a
   * process needs no round trip more; it then throws what opening would have thrown.
   */
  readonly ahead?: boolean
}

/** A backend behind the contract of this file. */
export interface Driver {
  /** For messages and metrics, such as `memory`. */
  readonly name: string
  readonly capabilities: Capabilities
  /** Connects, creates or migrates the schema. Idempotent, and safe when ten callers in ten processes race. */
  open(options?: OpenOptions): Promise<void>
  /** Answers all questions from one consistent view in one round trip. */
  read(reads: readonly Read[], options?: CallOptions): Promise<ReadAnswer>
  /** Applies the commits in one round trip and one sync to disk. */
  commit(request: CommitRequest, options?: CallOptions): Promise<CommitAnswer>
  /**
   * Lets go of the backend, also while it is being opened; a handle that was handed in stays open. Idempotent. A driver
   * can be opened again after its close; calls in between throw `CLOSED`.
   */
  close(): Promise<void>
  /**
   * Announces changes: tells the listener which parts a commit has changed, whoever made it, in this process or in
   * another that the backend hears of. Absent where it hears of nothing; nobody polls here.
   *
   * What is told is a hint: it may come late, twice, for nothing or not at all, and what has merely expired is not told.
   * So whoever must not miss a change also looks by itself, and what it does rests on what it reads then. A hint comes
   * when the commit can be read, and never before. Listening has begun when a later read is answered: listen, then look.
   *
   * @param listener - called outside of any call, while the driver is open
   * @returns what stops it; idempotent
   */
  watch?(listener: (parts: readonly string[]) => void): () => void
}
