/**
 * The tables and views of the SQLite drivers as a drizzle schema, to read and join stored data with your own drizzle
 * database in the same file. Only the driver may write to them.
 *
 * The driver creates them itself, with options that drizzle cannot express. Keep drizzle-kit away from them with
 * `tablesFilter: ['!holdfast_*']`.
 *
 * @example
 * ```ts
 * import Database from 'better-sqlite3'
 * import { desc } from 'drizzle-orm'
 * import { drizzle } from 'drizzle-orm/better-sqlite3'
 * import { createHoldfast } from 'holdfast'
 * import { sqlite } from 'holdfast/better-sqlite3'
 * import { runs } from 'holdfast/sqlite-schema'
 *
 * const db = drizzle(new Database('app.db'))
 * const holdfast = createHoldfast({ driver: sqlite({ db }) })
 * await holdfast.db.open()
 * console.log(db.select().from(runs).orderBy(desc(runs.createdAt)).limit(10).all())
 * ```
 *
 * @module
 */
import { type ViewColumns, viewColumns } from '../shared/views.ts'
import { type BuildColumns, type ColumnBuilderBase, type NotNull } from 'drizzle-orm'
import {
  type ConvertCustomConfig,
  type SQLiteCustomColumnBuilder,
  type SQLiteIntegerBuilderInitial,
  type SQLiteTableWithColumns,
  type SQLiteTextBuilderInitial,
  type SQLiteTextJsonBuilderInitial,
  type SQLiteViewWithSelection,
  customType,
  index,
  integer,
  primaryKey,
  sqliteTable,
  sqliteView,
  text,
} from 'drizzle-orm/sqlite-core'

export type { ViewColumns } from '../shared/views.ts'

// Every type is written out, because the declarations of this package are generated without inference.

/** A drizzle table of these columns. */
export type Table<Name extends string, Columns extends Record<string, ColumnBuilderBase>> = SQLiteTableWithColumns<{
  name: Name
  schema: undefined
  columns: BuildColumns<Name, Columns, 'sqlite'>
  dialect: 'sqlite'
}>
/** A drizzle view of these columns. */
export type View<Name extends string, Columns extends Record<string, ColumnBuilderBase>> = SQLiteViewWithSelection<
  Name,
  true,
  BuildColumns<Name, Columns, 'sqlite'>
>

/** A column of text. */
export type Text<Name extends string = string> = SQLiteTextBuilderInitial<
  Name,
  [string, ...string[]],
  number | undefined
>
/** A column of integers. */
export type Integer<Name extends string = string> = SQLiteIntegerBuilderInitial<Name>
/** A column of JSON text, parsed by drizzle. */
export type Json<Name extends string = string> = SQLiteTextJsonBuilderInitial<Name>
/** The type of a {@link Stored} column. */
export type StoredType = { data: string | Uint8Array; driverData: string | Uint8Array }
/** A column of text or bytes, as stored. */
export type Stored<Name extends string> = SQLiteCustomColumnBuilder<ConvertCustomConfig<Name, StoredType>>

/** The columns of the views. */
export type Views = ViewColumns<Text, Integer, Json>

const stored = customType<StoredType>({ dataType: () => 'any' })

/** All entries. `part` and `key` are drawn in `core/keys.ts`; the expiry is in milliseconds since 1970. */
export const entries: View<
  'holdfast_entries',
  {
    part: NotNull<Text<'part'>>
    key: NotNull<Text<'key'>>
    version: NotNull<Text<'version'>>
    expiresAt: Integer<'expires_at'>
    value: NotNull<Stored<'value'>>
  }
> = sqliteView('holdfast_entries', {
  part: text('part').notNull(),
  key: text('key').notNull(),
  version: text('version').notNull(),
  expiresAt: integer('expires_at'),
  value: stored('value').notNull(),
}).existing()

/** Requests that took effect, kept while a repeat is recognised. */
export const requests: Table<
  'holdfast_requests',
  { id: NotNull<Text<'id'>>; record: NotNull<Text<'record'>>; expiresAt: NotNull<Integer<'expires_at'>> }
> = sqliteTable(
  'holdfast_requests',
  { id: text('id').notNull(), record: text('record').notNull(), expiresAt: integer('expires_at').notNull() },
  (table) => [primaryKey({ columns: [table.id] }), index('holdfast_requests_expiry').on(table.expiresAt)],
)

/** One row: the version of this schema. */
export const schemaVersion: Table<'holdfast_schema', { version: NotNull<Integer<'version'>> }> = sqliteTable(
  'holdfast_schema',
  { version: integer('version').notNull() },
)

const columns: Views = viewColumns({
  text: (name) => text(name),
  long: (name) => integer(name),
  json: (name) => text(name, { mode: 'json' }),
})

/** The runs of all tenants. `data` is the whole record. A value that is not JSON reads as null, here and below. */
export const runs: View<'holdfast_runs', Views['runs']> = sqliteView('holdfast_runs', columns.runs).existing()

/** The steps of all runs, in no particular order. `data` is the whole record. */
export const steps: View<'holdfast_steps', Views['steps']> = sqliteView('holdfast_steps', columns.steps).existing()

/** The logs of all runs. `data` is the whole event. */
export const events: View<'holdfast_events', Views['events']> = sqliteView('holdfast_events', columns.events).existing()

/** The snapshots of all runs. `data` is the whole document around `state`. */
export const snapshots: View<'holdfast_snapshots', Views['snapshots']> = sqliteView(
  'holdfast_snapshots',
  columns.snapshots,
).existing()

const { expiresAt, ...place } = columns.values

/** The plain values of tenants (`runId` is null) and of runs, as stored. */
export const values: View<'holdfast_values', Views['values'] & { value: NotNull<Stored<'value'>> }> = sqliteView(
  'holdfast_values',
  { ...place, value: stored('value').notNull(), expiresAt },
).existing()
