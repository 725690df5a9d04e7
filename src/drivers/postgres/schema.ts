/**
 * The tables and views of the Postgres driver as a drizzle schema, to read and join the stored data with your own
 * drizzle in the same database. Only the driver may write to them.
 *
 * The driver creates them itself, with collations, functions and partitions that drizzle cannot express. Keep
 * drizzle-kit away from them with `tablesFilter: ['!holdfast_*']`.
 *
 * @example
 * ```ts
 * import { desc } from 'drizzle-orm'
 * import { drizzle } from 'drizzle-orm/pglite'
 * import { PGlite } from '@electric-sql/pglite'
 * import { createHoldfast } from 'holdfast'
 * import { postgres } from 'holdfast/postgres'
 * import { runs } from 'holdfast/postgres-schema'
 *
 * const db = drizzle(new PGlite())
 * const holdfast = createHoldfast({ driver: postgres({ db }) })
 * await holdfast.db.open()
 * console.log(await db.select().from(runs).orderBy(desc(runs.createdAt)).limit(10))
 * ```
 *
 * @module
 */
import { type ViewColumns, viewColumns } from '../shared/views.ts'
import { type BuildColumns, type ColumnBuilderBase, type NotNull, isNotNull } from 'drizzle-orm'
import {
  type ConvertCustomConfig,
  type PgBigInt53BuilderInitial,
  type PgCustomColumnBuilder,
  type PgIntegerBuilderInitial,
  type PgJsonbBuilderInitial,
  type PgTableWithColumns,
  type PgTextBuilderInitial,
  type PgViewWithSelection,
  bigint,
  customType,
  index,
  integer,
  jsonb,
  pgTable,
  pgView,
  primaryKey,
  text,
} from 'drizzle-orm/pg-core'

export type { ViewColumns } from '../shared/views.ts'

// All types are written out, because the declarations of this package are made file by file, without inference.

/** A drizzle table with these columns. */
export type Table<Name extends string, Columns extends Record<string, ColumnBuilderBase>> = PgTableWithColumns<{
  name: Name
  schema: undefined
  columns: BuildColumns<Name, Columns, 'pg'>
  dialect: 'pg'
}>
/** A drizzle view with these columns. */
export type View<Name extends string, Columns extends Record<string, ColumnBuilderBase>> = PgViewWithSelection<
  Name,
  true,
  BuildColumns<Name, Columns, 'pg'>
>

/** A column of text. */
export type Text<Name extends string = string> = PgTextBuilderInitial<Name, [string, ...string[]]>
/** A column of small integers. */
export type Integer<Name extends string = string> = PgIntegerBuilderInitial<Name>
/** A column of integers, such as milliseconds since 1970. */
export type Long<Name extends string = string> = PgBigInt53BuilderInitial<Name>
/** A column of JSON, parsed by drizzle. */
export type Json<Name extends string = string> = PgJsonbBuilderInitial<Name>
/** The data of a {@link Bytes} column. */
export type BytesType = { data: Uint8Array; driverData: Uint8Array }
/** A column of bytes. */
export type Bytes<Name extends string> = PgCustomColumnBuilder<ConvertCustomConfig<Name, BytesType>>

/** The columns of the views. */
export type Views = ViewColumns<Text, Long, Json>

const bytea = customType<BytesType>({ dataType: () => 'bytea' })

/** A column of milliseconds since 1970, or of numbers of any size. */
const long = <Name extends string>(name: Name): Long<Name> => bigint(name, { mode: 'number' })

/**
 * All entries: `part` and `key` as in the table in `core/keys.ts`, the expiry in milliseconds since 1970, and the
 * value, either as text or as bytes.
 */
export const entries: Table<
  'holdfast_entries',
  {
    part: NotNull<Text<'part'>>
    key: NotNull<Text<'key'>>
    version: NotNull<Text<'version'>>
    expiresAt: Long<'expires_at'>
    text: Text<'text'>
    bytes: Bytes<'bytes'>
  }
> = pgTable(
  'holdfast_entries',
  {
    part: text('part').notNull(),
    key: text('key').notNull(),
    version: text('version').notNull(),
    expiresAt: long('expires_at'),
    text: text('text'),
    bytes: bytea('bytes'),
  },
  (table) => [
    primaryKey({ columns: [table.part, table.key] }),
    index('holdfast_entries_expiry').on(table.expiresAt).where(isNotNull(table.expiresAt)),
  ],
)

/** Records of requests, kept as long as a repeat is answered, and as long again to recognise a late one. */
export const requests: Table<
  'holdfast_requests',
  {
    id: NotNull<Text<'id'>>
    digest: NotNull<Text<'digest'>>
    record: NotNull<Text<'record'>>
    answeredUntil: NotNull<Long<'answered_until'>>
    expiresAt: NotNull<Long<'expires_at'>>
  }
> = pgTable(
  'holdfast_requests',
  {
    id: text('id').notNull(),
    digest: text('digest').notNull(),
    record: text('record').notNull(),
    answeredUntil: long('answered_until').notNull(),
    expiresAt: long('expires_at').notNull(),
  },
  (table) => [primaryKey({ columns: [table.id] }), index('holdfast_requests_expiry').on(table.expiresAt)],
)

/** One row: the version of this schema. */
export const schemaVersion: Table<'holdfast_schema', { version: NotNull<Integer<'version'>> }> = pgTable(
  'holdfast_schema',
  { version: integer('version').notNull() },
)

const columns: Views = viewColumns({ text: (name) => text(name), long, json: (name) => jsonb(name) })

/** The runs of all tenants; `data` is the whole record. In all views, text that is not JSON reads as null. */
export const runs: View<'holdfast_runs', Views['runs']> = pgView('holdfast_runs', columns.runs).existing()

/** The steps of all runs, in no particular order; `data` is the whole record. */
export const steps: View<'holdfast_steps', Views['steps']> = pgView('holdfast_steps', columns.steps).existing()

/** The logs of all runs; `data` is the whole event. */
export const events: View<'holdfast_events', Views['events']> = pgView('holdfast_events', columns.events).existing()

/** The snapshots of all runs; `data` is the whole document that contains `state`. */
export const snapshots: View<'holdfast_snapshots', Views['snapshots']> = pgView(
  'holdfast_snapshots',
  columns.snapshots,
).existing()

const { expiresAt, ...place } = columns.values

/** The plain values of tenants (`runId` is null) and of runs, either as text or as bytes. */
export const values: View<'holdfast_values', Views['values'] & { text: Text<'text'>; bytes: Bytes<'bytes'> }> = pgView(
  'holdfast_values',
  { ...place, text: text('text'), bytes: bytea('bytes'), expiresAt },
).existing()
