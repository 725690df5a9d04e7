/** URLs of photos, for `img` elements. @module */
import type { Holdfast } from 'holdfast'
import { type Photo, photoKey } from './inspection.ts'

/** Creates URLs of photos. */
export interface PhotoUrls {
  /** Returns the URLs of a run's photos, without deleted ones. Revokes the URLs of the previous run. */
  of(runId: string, photos: readonly Photo[]): Promise<ReadonlyMap<string, string>>
}

/** Reads photos from their run's state, each once. */
export function photoUrls({ state }: Holdfast): PhotoUrls {
  let current: { readonly runId: string; readonly urls: Map<string, string> } | undefined
  return {
    async of(runId, photos) {
      if (current?.runId !== runId) {
        for (const url of current?.urls.values() ?? []) URL.revokeObjectURL(url)
        current = { runId, urls: new Map() }
      }
      const { urls } = current
      await Promise.all(
        photos.map(async ({ id, type }) => {
          if (urls.has(id)) return
          const bytes = await state.get(photoKey(id), { runId })
          if (bytes instanceof Uint8Array) {
            urls.set(id, URL.createObjectURL(new Blob([new Uint8Array(bytes)], { type })))
          }
        }),
      )
      return urls
    },
  }
}
