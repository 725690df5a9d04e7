/** The columns of the views that every SQL driver has, for its drizzle schema. @module */
import type { ColumnBuilderBase, NotNull } from 'drizzle-orm'

/** Columns of text, of integers such as milliseconds since 1970, and of JSON, in the dialect of a driver. */
export interface Columns<
  Text extends ColumnBuilderBase,
  Long extends ColumnBuilderBase,
  Json extends ColumnBuilderBase,
> {
  text(name: string): Text
  long(name: string): Long
  json(name: string): Json
}

/** The columns of a view, by view. */
export interface ViewColumns<
  Text extends ColumnBuilderBase,
  Long extends ColumnBuilderBase,
  Json extends ColumnBuilderBase,
> {
  readonly runs: {
    tenant: NotNull<Text>
    runId: NotNull<Text>
    workflow: Text
    definitionVersion: Text
    status: Text
    since: Long
    createdAt: Long
    data: Json
  }
  readonly steps: {
    tenant: NotNull<Text>
    runId: NotNull<Text>
    stepId: NotNull<Text>
    status: Text
    result: Json
    error: Text
    startedAt: Long
    completedAt: Long
    data: Json
  }
  readonly events: {
    tenant: NotNull<Text>
    runId: NotNull<Text>
    seq: NotNull<Long>
    kind: Text
    stepId: Text
    at: Long
    payload: Json
    data: Json
  }
  readonly snapshots: {
    tenant: NotNull<Text>
    runId: NotNull<Text>
    version: Long
    throughSeq: Long
    updatedAt: Long
    state: Json
    data: Json
  }
  /** Without the columns of the value, which each dialect stores in its own way. */
  readonly values: { tenant: NotNull<Text>; runId: Text; name: NotNull<Text>; expiresAt: Long }
}

/** Builds the columns of the views. */
export function viewColumns<
  Text extends ColumnBuilderBase,
  Long extends ColumnBuilderBase,
  Json extends ColumnBuilderBase,
>({ text, long, json }: Columns<Text, Long, Json>): ViewColumns<Text, Long, Json> {
  const present = <C extends ColumnBuilderBase>(column: C): NotNull<C> =>
    (column as C & { notNull(): NotNull<C> }).notNull()
  const tenant = (): NotNull<Text> => present(text('tenant'))
  const ofRun = (): { tenant: NotNull<Text>; runId: NotNull<Text> } => ({
    tenant: tenant(),
    runId: present(text('run_id')),
  })
  return {
    runs: {
      ...ofRun(),
      workflow: text('workflow'),
      definitionVersion: text('definition_version'),
      status: text('status'),
      since: long('since'),
      createdAt: long('created_at'),
      data: json('data'),
    },
    steps: {
      ...ofRun(),
      stepId: present(text('step_id')),
      status: text('status'),
      result: json('result'),
      error: text('error'),
      startedAt: long('started_at'),
      completedAt: long('completed_at'),
      data: json('data'),
    },
    events: {
      ...ofRun(),
      seq: present(long('seq')),
      kind: text('kind'),
      stepId: text('step_id'),
      at: long('at'),
      payload: json('payload'),
      data: json('data'),
    },
    snapshots: {
      ...ofRun(),
      version: long('version'),
      throughSeq: long('through_seq'),
      updatedAt: long('updated_at'),
      state: json('state'),
      data: json('data'),
    },
    values: { tenant: tenant(), runId: text('run_id'), name: present(text('name')), expiresAt: long('expires_at') },
  }
}
