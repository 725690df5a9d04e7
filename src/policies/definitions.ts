/**
 * Definitions of workflows: telling one from another, and leading a run from an old one to a new one. Pure: nothing here
 * reads or stores.
 *
 * The words are those of Ranvier's migration registry; a hash of the definition is how sayiir tells them apart.
 *
 * @module
 */
import { type Known, requireGiven, requireOptions } from '../core/arguments.ts'
import { encode } from '../core/codec.ts'
import { sha256 } from '../core/sha256.ts'
import { HoldfastError, invalid } from '../core/errors.ts'
import { requireId } from '../core/keys.ts'
import { type Position, requirePosition } from '../runs/status.ts'

/**
 * What a migration does about the step that a run has come to.
 *
 * | strategy | the run |
 * | --- | --- |
 * | `fail` | is refused |
 * | `keep` | stays at its step |
 * | `moveStep` | goes on at the step `to` instead of `from` |
 * | `fallback` | goes on at this step, wherever it was |
 * | `restart` | begins again |
 */
export type MigrationStrategy =
  | 'fail'
  | { readonly kind: 'keep' }
  | { readonly kind: 'moveStep'; readonly from: string; readonly to: string }
  | { readonly kind: 'fallback'; readonly stepId: string }
  | { readonly kind: 'restart' }

/** One hop from a version of a definition to another. */
export interface DefinitionMigration {
  /** For runs of this workflow; of every workflow by default. */
  readonly workflow?: string
  readonly from: string
  readonly to: string
  /** Makes the new state from the old one, which it must not change. Left out: the state stays as it is. */
  readonly map?: (state: unknown) => unknown
  /**
   * Of several, all `moveStep` that name a step where the run is count, or else the first that is something else. A run
   * that none is about is refused. `fail` by default.
   */
  readonly strategy?: MigrationStrategy | readonly MigrationStrategy[]
}

/** What of a run is migrated. */
export interface MigratedRun {
  /** Of its definition. */
  readonly version: string
  /** Where it is; `null` or left out: at the beginning. */
  readonly position?: Position | null | undefined
  /** Any structured value. */
  readonly state?: unknown
  readonly workflow?: string | undefined
}

/** What {@link DefinitionMigrations.migrate} made. */
export interface MigrationResult {
  readonly version: string
  /** As `updateRun` takes it; `null`: nowhere, so that it begins at the beginning. */
  readonly position: Position | null
  readonly state: unknown
  /** The hops it took, in order; none where the version was right. */
  readonly hops: readonly DefinitionMigration[]
}

/** Options of {@link DefinitionMigrations.migrate}. */
export interface MigrateOptions {
  /** All steps of the definition migrated to; where given, a run is refused that would come to another one. */
  readonly steps?: readonly string[] | undefined
}

/** Options of {@link DefinitionMigrations.path} and {@link DefinitionMigrations.canMigrate}. */
export interface PathOptions {
  /** Of the run; without it, only migrations of every workflow count. */
  readonly workflow?: string | undefined
}

const PATH: Known<PathOptions> = { workflow: true }
const MIGRATE: Known<MigrateOptions> = { steps: true }

/** Ways between the versions of definitions. */
export interface DefinitionMigrations {
  /**
   * The shortest way; of several, the one whose hops were declared first. No hops: the version is the same.
   *
   * @returns `undefined` where there is none
   */
  path(from: string, to: string, options?: PathOptions): readonly DefinitionMigration[] | undefined
  /** Whether there is a way; a strategy on it may refuse a run all the same. */
  canMigrate(from: string, to: string, options?: PathOptions): boolean
  /**
   * Leads a run to another version, hop by hop: the payload by each `map`, the position by each `strategy`. A run at the
   * beginning stays there, unless a hop refuses it.
   *
   * @param run - is not changed
   * @param to - the version that is to go on with it
   * @throws `DEFINITION_MISMATCH` with `from` and `to` in `details`, and as `reason` `no_path`, `refused` by a strategy,
   *   `mapper_failed` with what was thrown as cause, or `target_not_found` for a step that is not in `options.steps`;
   *   `INVALID_ARGUMENT` for a malformed run or version
   */
  migrate(run: MigratedRun, to: string, options?: MigrateOptions): MigrationResult
}

/**
 * Gathers migrations between the versions of definitions.
 *
 * @param migrations - in any order; they may form cycles
 * @returns the ways they make
 * @throws `INVALID_ARGUMENT` for a malformed migration
 *
 * @example
 * ```ts
 * import { definitionMigrations } from 'holdfast'
 *
 * const migrations = definitionMigrations([
 *   { from: 'v1', to: 'v2', strategy: { kind: 'moveStep', from: 'pay', to: 'charge' } },
 *   { from: 'v2', to: 'v3', strategy: { kind: 'keep' }, map: (state) => ({ ...(state as object), currency: 'EUR' }) },
 * ])
 * const run = { version: 'v1', position: { kind: 'step', stepId: 'pay' }, state: { amount: 5 } } as const
 * const { position, state } = migrations.migrate(run, 'v3')
 * console.log(position, state) // { kind: 'step', stepId: 'charge' } { amount: 5, currency: 'EUR' }
 * ```
 */
export function definitionMigrations(migrations: readonly DefinitionMigration[]): DefinitionMigrations {
  if (!Array.isArray(migrations)) throw invalid('migrations must be an array')
  const known = migrations.map((migration: DefinitionMigration) => requireMigration(migration))

  function path(from: string, to: string, options?: PathOptions): readonly DefinitionMigration[] | undefined {
    const { workflow } = requireOptions(options, PATH)
    const ways = new Map<string, readonly DefinitionMigration[]>([[requireId(from, 'from'), []]])
    requireId(to, 'to')
    // Versions found on the way are visited in turn: a map goes on with what is added.
    for (const [version, way] of ways) {
      if (version === to) return way
      for (const hop of known) {
        const isOpen = hop.workflow === undefined || hop.workflow === workflow
        if (isOpen && hop.from === version && !ways.has(hop.to)) ways.set(hop.to, [...way, hop])
      }
    }
    return undefined
  }

  return {
    path,
    canMigrate: (from, to, options) => path(from, to, options) !== undefined,
    migrate(run, to, options) {
      const { steps } = requireOptions(options, MIGRATE)
      const { version, workflow } = requireGiven(run, 'run')
      const refuse = (message: string, reason: string, hop?: DefinitionMigration, cause?: unknown): HoldfastError => {
        const at = hop && { hop: { from: hop.from, to: hop.to } }
        return new HoldfastError('DEFINITION_MISMATCH', message, {
          details: { from: version, to, reason, ...at },
          cause,
        })
      }
      let position = run.position ? requirePosition(run.position) : null
      let { state } = run
      const hops = path(version, to, { workflow })
      if (!hops) throw refuse('There is no migration between these versions', 'no_path')
      for (const hop of hops) {
        const next = carry(position, hop)
        if (next === undefined) throw refuse('The migration does not carry a run at this step over', 'refused', hop)
        position = next
        try {
          if (hop.map) state = hop.map(state)
        } catch (cause) {
          throw refuse('The state could not be migrated', 'mapper_failed', hop, cause)
        }
      }
      if (steps && position && !stepsOf(position).every((stepId) => steps.includes(stepId))) {
        throw refuse('The definition lacks the step that the run would come to', 'target_not_found')
      }
      return { version: to, position, state, hops }
    },
  }
}

function requireMigration(migration: DefinitionMigration): DefinitionMigration {
  const { workflow, from, to, map } = requireGiven(migration, 'migration')
  requireId(from, 'from')
  requireId(to, 'to')
  if (workflow !== undefined) requireId(workflow, 'workflow')
  if (map !== undefined && typeof map !== 'function') throw invalid('map must be a function')
  for (const strategy of strategiesOf(migration)) {
    if (strategy === 'fail') continue
    switch (strategy?.kind) {
      case 'moveStep':
        requireId(strategy.from, 'strategy.from')
        requireId(strategy.to, 'strategy.to')
        break
      case 'fallback':
        requireId(strategy.stepId, 'strategy.stepId')
        break
      case 'keep':
      case 'restart':
        break
      default:
        throw invalid('strategy must be fail, or of kind keep, moveStep, fallback or restart')
    }
  }
  return migration
}

const strategiesOf = ({ strategy = 'fail' }: DefinitionMigration): readonly MigrationStrategy[] =>
  Array.isArray(strategy) ? (strategy as readonly MigrationStrategy[]) : [strategy as MigrationStrategy]

/** Where a run at this position is after a hop; `undefined` where the hop refuses it. */
function carry(position: Position | null, hop: DefinitionMigration): Position | null | undefined {
  const strategies = strategiesOf(hop)
  const moves = new Map<string, string>()
  for (const it of strategies) if (it !== 'fail' && it.kind === 'moveStep') moves.set(it.from, it.to)
  if (position && stepsOf(position).some((stepId) => moves.has(stepId))) return renamed(position, moves)
  const rest = strategies.find((it) => it === 'fail' || it.kind !== 'moveStep')
  if (rest === 'fail') return undefined
  // Steps that are moved are none of a run that has not come to one.
  if (!position) return position
  if (rest?.kind === 'keep') return position
  if (rest?.kind === 'fallback') return { kind: 'step', stepId: rest.stepId }
  return rest && null
}

/** Every step that a position names. */
const stepsOf = (position: Position): readonly string[] => {
  const { stepId, next, branches = [], completed = [] } = position as Named
  return [stepId, ...(next === undefined ? [] : [next]), ...branches, ...completed]
}

/** What a position of any kind may name. */
interface Named {
  readonly stepId: string
  readonly next?: string | undefined
  readonly branches?: readonly string[]
  readonly completed?: readonly string[] | undefined
}

function renamed(position: Position, moves: ReadonlyMap<string, string>): Position {
  const rename = (stepId: string): string => moves.get(stepId) ?? stepId
  const { stepId, next, branches, completed } = position as Named
  return {
    ...position,
    stepId: rename(stepId),
    ...(next !== undefined && { next: rename(next) }),
    ...(branches && { branches: branches.map(rename) }),
    ...(completed && { completed: completed.map(rename) }),
  }
}

/**
 * A fingerprint of a definition: equal for equal structure, whatever the order of an object's members, and different as
 * soon as anything in it differs, be it a delay, a timeout or the version of a step.
 *
 * @param definition - any structured value, see `encode`; a member that is `undefined` counts as absent. Functions
 *   cannot be told apart, so they are refused: give a step a version instead
 * @returns 64 hexadecimal digits: SHA-256 of its canonical JSON
 * @throws `SERIALIZATION` for what cannot be stored, `UNSUPPORTED` in pages that came over plain HTTP
 *
 * @example
 * ```ts
 * import { definitionHash } from 'holdfast'
 *
 * const hash = await definitionHash({ steps: [{ id: 'charge', version: 1 }, { id: 'ship', timeout: 5000 }] })
 * console.log(hash === (await definitionHash({ steps: [{ version: 1, id: 'charge' }, { timeout: 5000, id: 'ship' }] }))) // true
 * ```
 */
export async function definitionHash(definition: unknown): Promise<string> {
  // In a list, because bytes by themselves have no text.
  const text = JSON.stringify(canonical(JSON.parse(encode([definition]) as string)))
  return sha256(text)
}

/** Encoded JSON with the members of objects in order, and without those that are undefined. */
function canonical(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(canonical)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, member]) => (member as { $1?: unknown } | null)?.$1 !== 'undefined')
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, member]) => [name, canonical(member)]),
  )
}
