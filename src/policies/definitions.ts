/**
 * Definitions of workflows: recognising a changed definition, and migrating a run from one version to another. These
 * are pure functions that neither read nor store anything.
 *
 * The names come from Ranvier's migration registry. The hash of a definition comes from sayiir.
 *
 * @module
 */
import { type Known, requireGiven, requireOptions, shown } from '../core/arguments.ts'
import { encode } from '../core/codec.ts'
import { sha256 } from '../core/sha256.ts'
import { HoldfastError, invalid } from '../core/errors.ts'
import { requireId } from '../core/keys.ts'
import { type Position, requirePosition } from '../runs/status.ts'

/**
 * The way in which a migration treats the position of a run.
 *
 * | strategy | the run |
 * | --- | --- |
 * | `fail` | is refused |
 * | `keep` | stays at its step |
 * | `moveStep` | goes on at the step `to` instead of `from` |
 * | `fallback` | goes on at the step `stepId`, wherever it was |
 * | `restart` | begins again |
 */
export type MigrationStrategy =
  | 'fail'
  | { readonly kind: 'keep' }
  | { readonly kind: 'moveStep'; readonly from: string; readonly to: string }
  | { readonly kind: 'fallback'; readonly stepId: string }
  | { readonly kind: 'restart' }

/** A migration from one version of a definition to another. */
export interface DefinitionMigration {
  /** The workflow it applies to; every workflow by default. */
  readonly workflow?: string
  readonly from: string
  readonly to: string
  /** Returns the new state for the old one, which it must not modify. If left out, the state stays as it is. */
  readonly map?: (state: unknown) => unknown
  /**
   * If there are several, each `moveStep` that names a step of the run's position is applied. If none does, the first
   * other strategy is applied. If there is none, the run is refused. `fail` by default.
   */
  readonly strategy?: MigrationStrategy | readonly MigrationStrategy[]
}

/** The parts of a run that are migrated. */
export interface MigratedRun {
  /** The version of its definition. */
  readonly version: string
  /** The position; `null` or left out if the run is at its beginning. */
  readonly position?: Position | null | undefined
  /** Any structured value. */
  readonly state?: unknown
  readonly workflow?: string | undefined
}

/** The result of {@link DefinitionMigrations.migrate}. */
export interface MigrationResult {
  readonly version: string
  /** For `updateRun`; `null` for a run that begins again. */
  readonly position: Position | null
  readonly state: unknown
  /** The migrations that were applied, in order; none if the version was right. */
  readonly hops: readonly DefinitionMigration[]
}

/** Options of {@link DefinitionMigrations.migrate}. */
export interface MigrateOptions {
  /** All steps of the new definition. If given, a run that would end up at another step is refused. */
  readonly steps?: readonly string[] | undefined
}

/** Options of {@link DefinitionMigrations.path} and {@link DefinitionMigrations.canMigrate}. */
export interface PathOptions {
  /** The workflow of the run. Without it, only migrations for every workflow are used. */
  readonly workflow?: string | undefined
}

const PATH: Known<PathOptions> = { workflow: true }
const MIGRATE: Known<MigrateOptions> = { steps: true }

/** Migrations between the versions of definitions. */
export interface DefinitionMigrations {
  /**
   * Finds the shortest path between two versions. Of several, it takes the one whose migrations were declared first.
   *
   * @param from - the old version
   * @param to - the new version
   * @param options - the workflow of the run
   * @returns the migrations in order, none for equal versions; `undefined` if there is no path
   * @throws `INVALID_ARGUMENT` for a malformed version
   */
  path(from: string, to: string, options?: PathOptions): readonly DefinitionMigration[] | undefined
  /** Returns whether there is a path. A strategy on the path may still refuse a run. */
  canMigrate(from: string, to: string, options?: PathOptions): boolean
  /**
   * Migrates a run to another version, one migration at a time: each `map` changes the state, each `strategy` the
   * position. A run at its beginning stays there, unless a migration refuses it.
   *
   * @param run - the run, which is not modified
   * @param to - the new version
   * @param options - `steps` lists the steps of the new definition
   * @returns the new version, position and state
   * @throws `DEFINITION_MISMATCH` with `from` and `to` in `details`, and a `reason`: `no_path`; `refused` by a
   *   strategy; `mapper_failed`, with the error of `map` as cause; or `target_not_found` for a step that is not in
   *   `options.steps`. `INVALID_ARGUMENT` for a malformed run or version
   */
  migrate(run: MigratedRun, to: string, options?: MigrateOptions): MigrationResult
}

/**
 * Collects migrations between the versions of definitions.
 *
 * @param migrations - in any order; cycles are fine
 * @returns functions to find paths, and to migrate runs along them
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
  if (!Array.isArray(migrations)) throw invalid(`migrations must be an array, not ${shown(migrations)}`)
  const known = migrations.map((migration: DefinitionMigration) => requireMigration(migration))

  function path(from: string, to: string, options?: PathOptions): readonly DefinitionMigration[] | undefined {
    const { workflow } = requireOptions(options, PATH)
    const ways = new Map<string, readonly DefinitionMigration[]>([[requireId(from, 'from'), []]])
    requireId(to, 'to')
    // Breadth first: the loop also visits the versions added to the map on the way.
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
      if (!hops) throw refuse(`No migration leads from version ${version} to ${to}`, 'no_path')
      for (const hop of hops) {
        const next = carry(position, hop)
        if (next === undefined)
          throw refuse(`The migration from ${hop.from} to ${hop.to} refuses a run at this position`, 'refused', hop)
        position = next
        try {
          if (hop.map) state = hop.map(state)
        } catch (cause) {
          throw refuse(`The map from ${hop.from} to ${hop.to} threw; see the cause`, 'mapper_failed', hop, cause)
        }
      }
      if (steps && position && !stepsOf(position).every((stepId) => steps.includes(stepId))) {
        throw refuse(
          'The new definition lacks a step of the new position; add a moveStep or a fallback',
          'target_not_found',
        )
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
  if (map !== undefined && typeof map !== 'function') throw invalid(`map must be a function, not ${shown(map)}`)
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

/** The position of a run after a migration; `undefined` if the migration refuses the run. */
function carry(position: Position | null, hop: DefinitionMigration): Position | null | undefined {
  const strategies = strategiesOf(hop)
  const moves = new Map<string, string>()
  for (const it of strategies) if (it !== 'fail' && it.kind === 'moveStep') moves.set(it.from, it.to)
  if (position && stepsOf(position).some((stepId) => moves.has(stepId))) return renamed(position, moves)
  const rest = strategies.find((it) => it === 'fail' || it.kind !== 'moveStep')
  if (rest === 'fail') return undefined
  // A run at its beginning is at no step, so there is none to move.
  if (!position) return position
  if (rest?.kind === 'keep') return position
  if (rest?.kind === 'fallback') return { kind: 'step', stepId: rest.stepId }
  return rest && null
}

/** The steps that a position names. */
const stepsOf = (position: Position): readonly string[] => {
  const { stepId, next, branches = [], completed = [] } = position as Named
  return [stepId, ...(next === undefined ? [] : [next]), ...branches, ...completed]
}

/** The steps that a position of any kind can name. */
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
 * Computes a fingerprint of a definition. Definitions of equal structure have equal hashes, whatever the order of
 * members. Any difference changes the hash: a delay, a timeout, the version of a step.
 *
 * @param definition - any structured value, see `encode`. A member that is `undefined` counts as absent. Functions are
 *   refused, because they cannot be compared: give a step a version instead
 * @returns 64 hexadecimal digits: the SHA-256 of its canonical JSON
 * @throws `SERIALIZATION` for a value that cannot be stored, `UNSUPPORTED` on pages served over plain HTTP
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
  // Wrapped in a list, because bytes alone would not be encoded as text.
  const text = JSON.stringify(canonical(JSON.parse(encode([definition]) as string)))
  return sha256(text)
}

/** The encoded JSON with members in order, and without undefined members. */
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
