/** The operations of the API that helps agents, which the console calls, one line each. */
import { assistOperation as op } from './client'
import type { components } from './assist.gen'

type Schemas = components['schemas']
export type Answer = Schemas['AssistantAnswer']
export type Outcome = Schemas['TranslationOutcome']
export type Suggestion = Schemas['SuggestedReply']
export type Call = Schemas['VideoCall']
export type Tried = Schemas['AiAgentTest']

export const translations = op('post', '/interactions/{id}/translations')
export const drafts = op('post', '/interactions/{id}/drafts')
export const ask = op('post', '/interactions/{id}/ask')
export const suggest = op('post', '/interactions/{id}/suggest')
export const insights = op('post', '/interactions/{id}/insights')
export const video = op('post', '/interactions/{id}/video')
export const testAiAgent = op('post', '/ai-agents/{id}/test')
