/** The form of a new inspection. It saves every change at once. @module */
import { render } from 'lit-html'
import { byId } from './dom.ts'
import type { Draft, Drafts } from './drafts.ts'
import { coalesced } from './live.ts'
import type { PhotoUrls } from './photos.ts'
import { photoList } from './templates.ts'

/** Options of the form. */
export interface FormOptions {
  readonly drafts: Drafts
  readonly urls: PhotoUrls
  /** Called when an inspection was started. */
  onStart(runId: string): void
  /** Called with each error. */
  onError(error: unknown): void
}

/**
 * Starts the form.
 *
 * @returns a function that shows the draft of another tab; call it after changes
 */
export async function draftForm({ drafts, urls, onStart, onError }: FormOptions): Promise<() => Promise<void>> {
  const form = byId('inspection', HTMLFormElement)
  const photoInput = byId('photo', HTMLInputElement)
  const saved = byId('saved', HTMLElement)
  let draft = await drafts.load()
  /** Runs changes of the draft one after the other, so that none changes an outdated draft. */
  let turn: Promise<void> = Promise.resolve()
  let unsaved = 0

  const typed = (): Record<string, string> =>
    Object.fromEntries([...new FormData(form)].filter((it): it is [string, string] => typeof it[1] === 'string'))

  async function show(): Promise<void> {
    for (const field of form.querySelectorAll<HTMLInputElement | HTMLTextAreaElement>('[name]')) {
      const value = draft.fields[field.name] ?? ''
      if (field instanceof HTMLInputElement && field.type === 'radio') field.checked = field.value === value
      else field.value = value
    }
    await showPhotos()
  }

  async function showPhotos(): Promise<void> {
    const { runId, photos } = draft
    render(photoList(photos, await urls.of(runId, photos), removePhoto), byId('draft-photos', HTMLElement))
  }

  function change(work: () => Promise<void>): void {
    unsaved++
    turn = turn
      .then(work)
      .catch(onError)
      .finally(() => unsaved--)
  }

  async function save(next: Draft): Promise<void> {
    draft = next
    await drafts.save(draft)
    saved.textContent = 'Draft saved'
  }

  const removePhoto = (id: string): void =>
    change(async () => {
      await save(await drafts.removePhoto(draft, id))
      await showPhotos()
      // The focused button was removed.
      photoInput.focus()
    })

  const saveTyped = coalesced(async () => {
    change(() => save({ ...draft, fields: typed() }))
    await turn
  })

  form.addEventListener('input', (event) => {
    if (event.target !== photoInput) saveTyped()
  })
  photoInput.addEventListener('change', () => {
    const files = [...(photoInput.files ?? [])]
    // The same file can be chosen again.
    photoInput.value = ''
    change(async () => {
      for (const file of files) await save(await drafts.addPhoto(draft, file))
      await showPhotos()
    })
  })
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    change(async () => {
      const { runId } = draft
      await drafts.start({ ...draft, fields: typed() })
      draft = await drafts.load()
      await show()
      saved.textContent = ''
      onStart(runId)
    })
  })

  await show()
  return async () => {
    // The text being typed here is newer than the draft of another tab.
    if (unsaved > 0 || form.contains(document.activeElement)) return
    const found = await drafts.load()
    if (unsaved > 0 || JSON.stringify(found) === JSON.stringify(draft)) return
    // Without a stored draft, each read returns a new one: nothing has changed.
    const isBlank = (it: Draft): boolean => it.photos.length === 0 && Object.keys(it.fields).length === 0
    if (isBlank(found) && isBlank(draft)) return
    draft = found
    saved.textContent = ''
    await show()
  }
}
