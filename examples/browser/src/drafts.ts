/**
 * The draft of an inspection, saved while the user types.
 *
 * A draft has the id of the run that it will become. Its photos are stored with that run from the beginning, so nothing
 * is moved when it is started; and starting it twice, or again after a crash, makes one run.
 *
 * @module
 */
import type { Holdfast } from 'holdfast'
import { start } from 'holdfast/run'
import { type Inspection, type Photo, inspectionWorkflow, photoKey } from './inspection.ts'

/** The current fields of the form, complete or not. */
export interface Draft {
  readonly runId: string
  readonly fields: Readonly<Record<string, string>>
  readonly photos: readonly Photo[]
}

/** The storage of the draft. */
export interface Drafts {
  /** Reads the draft that any tab saved last; a new one if there is none. */
  load(): Promise<Draft>
  save(draft: Draft): Promise<void>
  /** Stores the bytes of a photo. Save the returned draft. */
  addPhoto(draft: Draft, file: File): Promise<Draft>
  removePhoto(draft: Draft, id: string): Promise<Draft>
  /** Starts a run with the draft, once. */
  start(draft: Draft): Promise<void>
}

const KEY = 'draft'

/** Keeps the draft in the state store. */
export function createDrafts(holdfast: Holdfast): Drafts {
  const { state, workflows } = holdfast
  return {
    async load() {
      const draft = await state.getJson<Draft>(KEY)
      // The run was started, but the tab was closed before it could delete the draft.
      if (draft && !(await workflows.getRun(draft.runId))) return draft
      return { runId: crypto.randomUUID(), fields: {}, photos: [] }
    },
    save: (draft) => state.setJson(KEY, draft),
    async addPhoto(draft, file) {
      const { runId, photos } = draft
      const { name, type, size } = file
      const id = crypto.randomUUID()
      await state.set(photoKey(id), new Uint8Array(await file.arrayBuffer()), { runId })
      return { ...draft, photos: [...photos, { id, name, type, size }] }
    },
    async removePhoto(draft, id) {
      await state.delete(photoKey(id), { runId: draft.runId })
      return { ...draft, photos: draft.photos.filter((photo) => photo.id !== id) }
    },
    async start({ runId, fields, photos }) {
      const { site = '', inspector = '', temperature, condition = '', notes = '' } = fields
      const input: Inspection = { site, inspector, temperature: Number(temperature), condition, notes, photos }
      await start(holdfast, inspectionWorkflow(holdfast, 'draft'), { runId, input })
      await state.delete(KEY)
    },
  }
}
