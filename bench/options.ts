/** Whether what has this name is asked for: by one of the texts in it, or because there are none. */
export const isAmong = (texts: readonly string[], name: string): boolean =>
  texts.length === 0 || texts.some((text) => name.includes(text))
