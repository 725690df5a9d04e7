/** The HTML of the page. Nothing here reads or writes data. @module */
import { type TemplateResult, html, nothing } from 'lit-html'
import { type Photo, STAGES } from './inspection.ts'
import { type Entry, type InspectionView, timeOf } from './view.ts'

/** The actions on an inspection. */
export interface Actions {
  select(runId: string): void
  withdraw(runId: string): void
  remove(runId: string): void
}

const SYMBOLS: Record<Entry['tone'], string> = { good: '✓', bad: '!', wait: '…' }

/** The list of inspections, with one selected. */
export function runList(
  views: readonly InspectionView[],
  selected: string | undefined,
  { select }: Actions,
): TemplateResult {
  if (views.length === 0) return html`<p class="empty">None yet: fill in the form and start one.</p>`
  return html`<ul class="runs">
    ${views.map(
      (view) =>
        html`<li>
          <button
            type="button"
            class="run"
            aria-current=${view.runId === selected ? 'true' : nothing}
            @click=${() => select(view.runId)}
          >
            <span class="run-title">${view.inspection.site}</span>
            <span class="badge ${view.tone}">${view.status}</span>
            ${progress(view)}
          </button>
        </li>`,
    )}
  </ul>`
}

/** The progress of an inspection. */
export function standing(view: InspectionView | undefined): TemplateResult {
  if (!view) return html`<p class="standing empty">Choose an inspection to see its steps and its log.</p>`
  const { inspection, tone, status, done, worker } = view
  return html`
    <p class="standing"><strong>${inspection.site}</strong> <span class="badge ${tone}">${status}</span></p>
    <p class="worker quiet">${worker === undefined ? '' : `Tab ${worker} works on it`}</p>
    <ol class="stages">
      ${STAGES.map(
        ({ title }, i) =>
          html`<li class=${i < done ? 'done' : ''}>
            ${title}<span class="visually-hidden">: ${i < done ? 'done' : 'not done'}</span>
          </li>`,
      )}
    </ol>
  `
}

/** The details of an inspection, its log, and its actions. */
export function detail(
  view: InspectionView | undefined,
  urls: ReadonlyMap<string, string>,
  { withdraw, remove }: Actions,
): TemplateResult | typeof nothing {
  if (!view) return nothing
  const { runId, inspection, hasEnded, entries } = view
  return html`
    <dl class="facts">
      <dt>Inspector</dt>
      <dd>${inspection.inspector}</dd>
      <dt>Temperature</dt>
      <dd>${inspection.temperature} °C</dd>
      <dt>Condition</dt>
      <dd>${inspection.condition}</dd>
      ${
        inspection.notes
          ? html`<dt>Notes</dt>
              <dd>${inspection.notes}</dd>`
          : nothing
      }
    </dl>
    ${photoList(inspection.photos, urls)}
    <h3>Log</h3>
    <ol class="timeline" aria-label="Log">
      ${entries.map(
        ({ at, tone, title, text }) =>
          html`<li class=${tone}>
            <span class="symbol" aria-hidden="true">${SYMBOLS[tone]}</span>
            <time datetime=${new Date(at).toISOString()}>${timeOf(at)}</time>
            <span class="what"><strong>${title}</strong> ${text}</span>
          </li>`,
      )}
    </ol>
    <p class="buttons">
      ${
        hasEnded
          ? html`<button type="button" @click=${() => remove(runId)}>Remove</button>`
          : html`<button type="button" @click=${() => withdraw(runId)}>Withdraw</button>`
      }
    </p>
  `
}

/** Photos, each with a button if it can be removed. */
export function photoList(
  photos: readonly Photo[],
  urls: ReadonlyMap<string, string>,
  remove?: (id: string) => void,
): TemplateResult | typeof nothing {
  if (photos.length === 0) return nothing
  return html`<ul class="photos">
    ${photos.map(
      ({ id, name, size }) =>
        html`<li>
          <img src=${urls.get(id) ?? nothing} alt="" width="64" height="64" />
          <span>${name}<br /><span class="quiet">${bytes(size)}</span></span>
          ${
            remove
              ? html`<button type="button" aria-label="Remove photo ${name}" @click=${() => remove(id)}>×</button>`
              : nothing
          }
        </li>`,
    )}
  </ul>`
}

/** A readable number of bytes. */
export function bytes(count: number): string {
  if (count < 1000) return `${count} B`
  const [size, unit] = count < 1e6 ? [count / 1e3, 'kB'] : count < 1e9 ? [count / 1e6, 'MB'] : [count / 1e9, 'GB']
  return `${size < 10 ? size.toFixed(1) : Math.round(size)} ${unit}`
}

const progress = ({ done }: InspectionView): TemplateResult =>
  html`<progress max=${STAGES.length} .value=${done} aria-label="${done} of ${STAGES.length} steps done"></progress>`
