// Typical client code for the APIs. It is compiled and never run. A field or a kind that the descriptions lose, or
// can no longer tell apart, is an error here.

import type { components as Agent, operations as AgentOperations } from "./agent";
import type { components as Admin } from "./admin";

type Schema = Agent["schemas"];

/** What an answer of this status holds. */
type Answer<Operation extends keyof AgentOperations, Status extends keyof AgentOperations[Operation]["responses"]> =
  AgentOperations[Operation]["responses"][Status] extends { content: { "application/json": infer Body } } ? Body : never;

function never(kind: never): never {
  throw new Error(`unknown: ${JSON.stringify(kind)}`);
}

/** Every event has its own fields, and none is forgotten. */
export function headline(event: Schema["AgentEvent"]): string {
  switch (event.type) {
    case "offered":
      return event.notification?.text ?? `Offer ${event.offer} until ${event.until ?? "somebody takes it"}`;
    case "withdrawn":
      return event.taken_by ? `Taken by ${event.taken_by}` : `Offer ${event.offer} is gone`;
    case "message":
    case "message_state":
      return `${author(event.message.author)}: ${text(event.message.content)}`;
    case "interaction":
      return `${event.interaction.customer_name ?? event.interaction.id} is ${event.interaction.status}`;
    case "notification":
      return `${event.notification.kind}: ${event.notification.interaction ?? event.notification.alert?.name ?? event.notification.account}`;
    case "withheld":
      return `Something in ${event.interaction}, which is not yours any more`;
    case "deleted":
      return `${event.interaction} was deleted for good`;
    case "configuration":
      return "Something changed that GET /me shows: reads it again";
    case "expired":
      return "Something is missing: reads everything anew";
    case "presence":
      return event.state === "paused" ? `Paused: ${event.reason}` : event.state;
    default:
      return never(event);
  }
}

function author(author: Schema["Author"]): string {
  return author.kind === "agent" ? author.agent : author.kind;
}

function text(content: Schema["Content"]): string {
  switch (content.type) {
    case "text":
    case "note":
    case "system":
      return content.body;
    case "media":
      return content.caption;
    case "location":
      return content.label ?? `${content.latitude.toFixed(4)}, ${content.longitude.toFixed(4)}`;
    case "button":
    case "form":
      return content.text;
    case "list_reply":
      return content.title;
    case "contacts":
      return content.cards.map((card) => card.name ?? "").join(", ");
    case "template":
      return content.name;
    case "reaction":
      return content.emoji;
    case "unsupported":
      return content.detail ?? content.kind;
    default:
      return never(content);
  }
}

/** Why a message was not delivered. */
export function failure(message: Schema["MessageView"]): string | undefined {
  if (message.state === "failed") {
    return message.error?.class === "window_expired" ? "Send a template." : (message.error?.code ?? undefined);
  }
  return undefined;
}

/** Why nobody was rung. */
export function unrung(entries: Schema["HistoryEntry"][]): string[] {
  return entries.flatMap((entry) =>
    entry.fact === "wait_ended" ? (entry.passed_over ?? []).map((passed) => `${passed.agent}: ${passed.why} (${entry.at})`) : [],
  );
}

export function pageOf(events: Schema["Events"]): [number, Schema["AgentEvent"]][] {
  return events.items.map((entry) => [entry.seq, entry.event]);
}

/** A refusal has fields of every problem, and what belongs to its kind. */
export function refused(problem: Schema["Problem"]): string {
  const fields = (problem.errors ?? []).map((error) => `${error.field} ${error.message}`);
  return [problem.title, problem.detail, problem["owner_name"], ...fields].filter((part) => typeof part === "string").join("\n");
}

export const plan: Admin["schemas"]["PlanStep"][] = [
  { step: "auto_reply", text: "Ciao {{contact.firstName}}", when: "first_message" },
  { step: "goto_if", condition: "time.hour < 9", then: "closed", else: 2 },
  { step: "queue", queue: "que_01JD5Q4Z6V3W2X1Y0ZABCDEFGH", timeout: 60, interval: { only_within: "ivl_01JD5Q4Z6V3W2X1Y0ZABCDEFGH" } },
  { label: "closed", step: "close" },
];

// The code below must not compile.

// @ts-expect-error: there is no such state.
export const state: Schema["DeliveryState"] = "lost";
// @ts-expect-error: there is no such kind of content.
export const content: Schema["Content"] = { type: "poll", body: "?" };
// @ts-expect-error: a presence has no such word.
export const presence: Schema["PresenceWord"] = "busy";
// @ts-expect-error: a step of a plan says what it does.
export const step: Admin["schemas"]["PlanStep"] = { label: "nothing" };
// @ts-expect-error: a role is one of four.
export const role: Admin["schemas"]["Agent"]["role"] = "root";

export type Me = Answer<"me", 200>;
export const myRole = (me: Me): Schema["Role"] => me.role;
