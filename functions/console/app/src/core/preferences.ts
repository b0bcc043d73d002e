/** How a person wants the console to be, in this browser. No Vue: the screens bind it. */

/** Letters that open a browser's own menus with Alt, so that no shortcut can have them. */
export const RESERVED = ['B', 'D', 'E', 'F', 'H', 'S', 'T', 'V']
/** What a shortcut does, named by the letter that it has until somebody chooses another. */
export const ACTIONS = ['A', 'X', 'J', 'K', 'Q', 'M', 'C', 'L', 'G', 'O', 'W', 'P'] as const
export type Action = (typeof ACTIONS)[number]
const FREE = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ'.split('').filter((letter) => !RESERVED.includes(letter))

export const TONES = ['two', 'three', 'low'] as const
export type Tone = (typeof TONES)[number]

export interface Preferences {
  /** Rows stand further apart. */
  comfortable: boolean
  /** Enter makes a line, Ctrl + Enter sends. */
  ctrlEnter: boolean
  /** Offers are told by the system, too, while the page is not seen. */
  desktop: boolean
  tone: Tone
  /** 0 to 100; of offers. */
  volume: number
  /** A short tone for messages that are not in view. */
  messages: boolean
  /** Letters that were chosen, by action. */
  letters: Partial<Record<Action, string>>
}

export const USUAL: Preferences = { comfortable: false, ctrlEnter: false, desktop: true, tone: 'two', volume: 60, messages: true, letters: {} }

export const letterOf = (keys: Preferences['letters'], action: Action): string => keys[action] ?? action
/** The action of a letter. */
export const actionOf = (keys: Preferences['letters'], letter: string): Action | undefined => ACTIONS.find((action) => letterOf(keys, action) === letter)

/** Gives an action a letter. The action that had it gets the one that is free now. What can't be is left as it is. */
export function remap(keys: Preferences['letters'], action: Action, letter: string): Preferences['letters'] {
  if (!FREE.includes(letter)) return keys
  const had = actionOf(keys, letter)
  const chosen = { ...keys, ...(had && had !== action ? { [had]: letterOf(keys, action) } : {}), [action]: letter }
  // What is as it always was is no choice.
  return Object.fromEntries(Object.entries(chosen).filter(([one, its]) => one !== its))
}

/** What was stored, perhaps by another version or by hand: what can't be is left out. */
export function parsed(text: string | null): Preferences {
  let found: Record<string, unknown> = {}
  try {
    const value: unknown = JSON.parse(text ?? '{}')
    if (typeof value === 'object' && value) found = value as Record<string, unknown>
  } catch {
    // As if nothing was stored.
  }
  const flag = (name: 'comfortable' | 'ctrlEnter' | 'desktop' | 'messages') => (typeof found[name] === 'boolean' ? (found[name] as boolean) : USUAL[name])
  const volume = typeof found.volume === 'number' && found.volume >= 0 && found.volume <= 100 ? found.volume : USUAL.volume
  const given = typeof found.letters === 'object' && found.letters ? Object.entries(found.letters) : []
  const keys = given.reduce((keys, [action, letter]) => (ACTIONS.includes(action as Action) ? remap(keys, action as Action, String(letter)) : keys), {} as Preferences['letters'])
  return {
    comfortable: flag('comfortable'), ctrlEnter: flag('ctrlEnter'), desktop: flag('desktop'), messages: flag('messages'),
    tone: TONES.find((tone) => tone === found.tone) ?? USUAL.tone, volume, letters: keys
  }
}
