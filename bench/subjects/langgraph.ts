import { join } from 'node:path'
import type { RunnableConfig } from '@langchain/core/runnables'
import { type Checkpoint, type CheckpointMetadata, uuid6 } from '@langchain/langgraph-checkpoint'
import { SqliteSaver } from '@langchain/langgraph-checkpoint-sqlite'
import Database from 'better-sqlite3'
import { RUN, documentOf, eventOf, nameOf } from '../data.ts'
import { POWER_LOSS, PROCESS_DEATH, SYNCHRONOUS, type Subject } from './subject.ts'

export const checkpoint = (id: string, value: unknown): Checkpoint => ({
  v: 4,
  id,
  ts: new Date().toISOString(),
  channel_values: { value },
  channel_versions: { value: 1 },
  versions_seen: {},
})
export const metadata = (step: number): CheckpointMetadata => ({ source: 'loop', step, parents: {} })
export const thread = (thread_id: string): RunnableConfig => ({ configurable: { thread_id, checkpoint_ns: '' } })

/** An append is a checkpoint after the last one; a set replaces the only checkpoint of a thread. */
export const langgraph: Subject = {
  name: 'LangGraph SqliteSaver',
  survives: { strict: POWER_LOSS, relaxed: PROCESS_DEATH },
  async open(directory, durability) {
    const db = new Database(join(directory, 'langgraph.db'))
    db.pragma('journal_mode = WAL')
    db.pragma(`synchronous = ${SYNCHRONOUS[durability]}`)
    const saver = new SqliteSaver(db)
    const only = uuid6(0)
    let last = thread(RUN)
    return {
      async append(n) {
        last = await saver.put(last, checkpoint(uuid6(n), eventOf(n)), metadata(n))
      },
      set: (n) => saver.put(thread(nameOf(n)), checkpoint(only, documentOf(n)), metadata(0)),
      get: async (n) => (await saver.getTuple(thread(nameOf(n))))!.checkpoint.channel_values['value'],
      async load() {
        const events = []
        for await (const tuple of saver.list(thread(RUN))) events.push(tuple.checkpoint.channel_values['value'])
        return events.length
      },
      close: () => void db.close(),
    }
  },
}
