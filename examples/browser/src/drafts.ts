/**
 * The inspection that is being written down, saved while that is done.
 *
 * A draft has the id of the run that it will become. Its photos are stored with that run from the beginning, so nothing
 * is moved when it is started; and starting it twice, or again after a crash, makes one run.
 *
 * @module
 */
import type { Holdfast } from 'holdfast'
import { start } from 'holdfast/run'
import { type Inspection, type Photo, inspectionWorkflow, photoKey } from './inspection.ts'

/** The fields of the form as they stand, complete or not. */
export interface Draft {
  readonly runId: string
  readonly fields: Readonly<Record<string, string>>
  readonly photos: readonly Photo[]
}

/** Where the draft is kept. */
export interface Drafts {
  /** The draft as any tab has left it; a new one where there is none. */
  load(): Promise<Draft>
  save(draft: Draft): Promise<void>
  /** Stores the bytes of a photo; the draft that is returned is to be saved. */
  addPhoto(draft: Draft, file: File): Promise<Draft>
  removePhoto(draft: Draft, id: string): Promise<Draft>
  /** Makes a run of it, once. */
  start(draft: Draft): Promise<void>
}

const KEY = 'draft'

/** Keeps the draft in the state store. */
export function createDrafts(holdfast: Holdfast): Drafts {
  const { state, workflows } = holdfast
  return {
    async load() {
      const draft = await state.getJson<Draft>(KEY)
      // It was started, and the tab ended before it could tidy up.
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
