/** The fields of an account, by section. */
import type { Section } from '../kit/fields'

export const accountSections: Section[] = []
