/**
 * The screens that the other stories don't check: the story `screens` visits them. `tests/screens.test.ts` fails when
 * an address of the console is neither here nor in an `accessible(…)` of a story. `:id` is the first that there is.
 */
export const SCREENS = [
  '/preferences',
  '/notifications',
  '/configure/triggers',
  '/configure/triggers/:id',
  '/configure/ai-agents',
  '/configure/intervals',
  '/configure/pauses',
  '/configure/pauses/:id',
  '/configure/answers',
  '/configure/answers/:id',
  '/configure/dispositions',
  '/configure/dispositions/:id',
  '/configure/tags',
  '/configure/tags/:id',
  '/configure/lists',
  '/configure/lists/:id',
  '/configure/contact-fields/:id',
  '/configure/links',
  '/configure/retention',
  '/configure/prices',
  '/configure/settings',
  '/configure/accounts/:id/transfer',
  '/configure/accounts/:id/answers',
  '/configure/accounts/:id/ai',
  '/configure/accounts/:id/video'
]

/** Whether an address is that of a screen: `/configure/tags/tag_1` is one of `/configure/tags/:id`. */
export const shows = (screen, path) => new RegExp(`^${screen.replace(/:\w+/g, '[^/]+')}$`).test(path)
