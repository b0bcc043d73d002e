// Generated from infra/template.yaml by scripts/generate.mjs. Do not edit: run `npm run generate`.

/** The template's parameters. Each has a default that works. */
export interface ConnectorParameters {
  /**
   * Public address of the HTTP API, https://host[/prefix] without a slash at the end. Empty: the API's own address.
   */
  readonly publicUrl?: string;
  /**
   * Public address of the WebSocket API, wss://host[/path]. Empty: the API's own address.
   */
  readonly webSocketUrl?: string;
  /**
   * Whether both APIs answer at PublicUrl and WebSocketUrl only, so that nobody walks around what stands in front
   * of them (a WAF, a proxy). Both domains must be there and lead to the APIs. Default: false.
   */
  readonly disableDefaultEndpoints?: boolean;
  /**
   * Twilio's REST API. Default: https://api.twilio.com.
   */
  readonly twilioApiUrl?: string;
  /**
   * Twilio's Content API, which lists templates. Default: https://content.twilio.com.
   */
  readonly twilioContentUrl?: string;
  /**
   * Twilio's Messaging API, which lists WhatsApp senders. Default: https://messaging.twilio.com.
   */
  readonly twilioMessagingUrl?: string;
  /**
   * Meta's Graph API with its version. A version lives about two years. Default: https://graph.facebook.com/v26.0.
   */
  readonly metaApiUrl?: string;
  /**
   * Sinch's token service for the Conversation API. Default: https://auth.sinch.com.
   */
  readonly sinchAuthUrl?: string;
  /**
   * Comma-separated origins (scheme://host:port) that may be called although they are private or not https. For
   * local runs only.
   */
  readonly egressAllowedOrigins?: string;
  /**
   * Address of the local engine that replaces AWS, http://host:port. The APIs' own addresses are then under it.
   * Empty on AWS.
   */
  readonly engineUrl?: string;
  /**
   * Issuer (iss) of the tokens of agents and administrators. Empty: the stack makes a Cognito user pool and uses
   * it.
   */
  readonly jwtIssuer?: string;
  /**
   * Audience (aud) that tokens must name. Empty: the user pool's client. With your own issuer it must be given: an
   * issuer makes tokens for others too.
   */
  readonly jwtAudience?: string;
  /**
   * Address of the issuer's keys. Empty: {issuer}/.well-known/jwks.json.
   */
  readonly jwksUrl?: string;
  /**
   * Claim that holds the role or the roles. Default: cognito:groups.
   */
  readonly jwtRoleClaim?: string;
  /**
   * Where roles come from. record: the agents' records, so that a removed or demoted agent loses the rights with
   * the next call. claim: the token alone. Default: record.
   */
  readonly roleSource?: "record" | "claim";
  /**
   * Whether everybody in the stack's user pool needs a second factor (an authenticator app). A pool knows this only
   * for everybody. docs/first-deployment.md shows the first enrolment. Default: false.
   */
  readonly requireMfa?: boolean;
  /**
   * First part of the user pool's domain, PREFIX.auth.REGION.amazoncognito.com, unique in the region. Empty:
   * connector- and the id of the stack.
   */
  readonly userPoolDomainPrefix?: string;
  /**
   * SNS topic that receives the alarms. Empty: they only show in CloudWatch.
   */
  readonly alarmTopicArn?: string;
  /**
   * Whether the tables and the user pool refuse deletion. They remain when the stack is deleted in any case.
   * Default: false.
   */
  readonly deletionProtection?: boolean;
  /**
   * Days for which the bucket keeps a file that was overwritten or deleted, so that a mistake can be undone. After
   * an erasure the file is gone that many days later, so it must be less than the time that the law leaves you.
   * Default: 14.
   */
  readonly backupDays?: number;
  /**
   * Log level of the functions. Default: info.
   */
  readonly logLevel?: "error" | "warn" | "info" | "debug" | "trace";
  /**
   * Days for which logs are kept. They hold ids, never message bodies or phone numbers. Default: 30.
   */
  readonly logRetentionDays?: 1 | 3 | 5 | 7 | 14 | 30 | 60 | 90 | 120 | 150 | 180 | 365 | 400 | 545 | 731;
  /**
   * How often a record is tried before it goes to the dead-letter queue. The functions wait a minute at most
   * between two tries, so 1000, the maximum, outlasts an outage of 16 hours. A record that can never work is parked
   * after ten tries. A throttled function uses up tries too. Default: 1000.
   */
  readonly maxReceiveCount?: number;
  /**
   * Seconds until a record of a function that died is tried again. 0: six times the function's timeout, as AWS
   * advises. AWS refuses less than the timeout; tests on the local engine set it low. Default: 0.
   */
  readonly visibilityTimeout?: number;
  /**
   * Requests that API Gateway lets through, per second and in a burst. standard: agents 500 and 1000,
   * administrators 50 and 100, descriptions of the APIs 10 and 20, sockets 500 and 1000. high: four times as many.
   * none: the account's quota. Webhooks have the account's quota always. Default: standard.
   */
  readonly apiThrottles?: "standard" | "high" | "none";
  /**
   * How many batches of inbound events are routed at once. A batch takes some 50 ms, so 100 route thousands of
   * messages a second, and an account's default quota of 1,000 keeps 600 for webhooks and APIs when all queues are
   * full. Default: 100.
   */
  readonly routeConcurrency?: number;
  /**
   * How many batches of timers are handled at once. Default: 20.
   */
  readonly timersConcurrency?: number;
  /**
   * How many targets (queues, agents) are decided for at once. Decisions for one target are made one after the
   * other in any case. Default: 50.
   */
  readonly assignConcurrency?: number;
  /**
   * How many conversations send at once. A call takes about 0.3 s and a Twilio sender may send 80 messages a
   * second, so 50 keep two busy senders supplied. Default: 50.
   */
  readonly sendConcurrency?: number;
  /**
   * How many batches of events are pushed to agents at once. Default: 50.
   */
  readonly pushConcurrency?: number;
  /**
   * How many batches of attachments are copied at once. Attachments can wait, so they leave concurrency to the
   * other functions. Default: 20.
   */
  readonly mediaConcurrency?: number;
  /**
   * How many batches of Webhook steps call at once. A system that answers slowly must not take all of the account's
   * concurrency. Default: 50.
   */
  readonly webhookConcurrency?: number;
  /**
   * How many batches of transcripts are written at once. Transcripts can wait. Default: 10.
   */
  readonly archiveConcurrency?: number;
  /**
   * Read units a second that the table of accounts, agents, queues takes at once, without growing into them first;
   * before a campaign or a migration. It can be raised, never lowered, and a raise is billed. The default is AWS's
   * own. Default: 12000.
   */
  readonly configWarmReadUnits?: number;
  /**
   * Write units a second that the table of accounts, agents, queues takes at once, without growing into them first;
   * before a campaign or a migration. It can be raised, never lowered, and a raise is billed. The default is AWS's
   * own. Default: 4000.
   */
  readonly configWarmWriteUnits?: number;
  /**
   * The most read units a second of the table of accounts, agents, queues: a ceiling for the bill. Beyond it calls
   * are throttled and tried again. 0: none. Default: 0.
   */
  readonly configMaxReadUnits?: number;
  /**
   * The most write units a second of the table of accounts, agents, queues: a ceiling for the bill. Beyond it calls
   * are throttled and tried again. 0: none. Default: 0.
   */
  readonly configMaxWriteUnits?: number;
  /**
   * Read units a second that the table of conversations takes at once, without growing into them first; before a
   * campaign or a migration. It can be raised, never lowered, and a raise is billed. The default is AWS's own.
   * Default: 12000.
   */
  readonly interactionsWarmReadUnits?: number;
  /**
   * Write units a second that the table of conversations takes at once, without growing into them first; before a
   * campaign or a migration. It can be raised, never lowered, and a raise is billed. The default is AWS's own.
   * Default: 4000.
   */
  readonly interactionsWarmWriteUnits?: number;
  /**
   * The most read units a second of the table of conversations: a ceiling for the bill. Beyond it calls are
   * throttled and tried again. 0: none. Default: 0.
   */
  readonly interactionsMaxReadUnits?: number;
  /**
   * The most write units a second of the table of conversations: a ceiling for the bill. Beyond it calls are
   * throttled and tried again. 0: none. Default: 0.
   */
  readonly interactionsMaxWriteUnits?: number;
  /**
   * Processor of the functions. Default: arm64.
   */
  readonly shipArchitecture?: "arm64" | "x86_64";
  /**
   * Reserved concurrency of receive-twilio, to answer webhooks even when something else uses up the account's
   * concurrency. -1: none. 0 stops it. Default: -1.
   */
  readonly reservedReceiveTwilio?: number;
  /**
   * Reserved concurrency of receive-meta; see ReservedReceiveTwilio. -1: none. 0 stops it. Default: -1.
   */
  readonly reservedReceiveMeta?: number;
  /**
   * Reserved concurrency of receive-sinch; see ReservedReceiveTwilio. -1: none. 0 stops it. Default: -1.
   */
  readonly reservedReceiveSinch?: number;
  /**
   * Reserved concurrency of receive-kaleyra; see ReservedReceiveTwilio. -1: none. 0 stops it. Default: -1.
   */
  readonly reservedReceiveKaleyra?: number;
  /**
   * Reserved concurrency of route. -1: none. 0 stops it. Default: -1.
   */
  readonly reservedRoute?: number;
  /**
   * Reserved concurrency of assign. -1: none. 0 stops it. Default: -1.
   */
  readonly reservedAssign?: number;
  /**
   * Reserved concurrency of dispatch. -1: none. 0 stops it. Default: -1.
   */
  readonly reservedDispatch?: number;
  /**
   * Reserved concurrency of send. -1: none. 0 stops it. Default: -1.
   */
  readonly reservedSend?: number;
  /**
   * Reserved concurrency of media. -1: none. 0 stops it. Default: -1.
   */
  readonly reservedMedia?: number;
  /**
   * Reserved concurrency of archive. -1: none. 0 stops it. Default: -1.
   */
  readonly reservedArchive?: number;
  /**
   * Reserved concurrency of push. -1: none. 0 stops it. Default: -1.
   */
  readonly reservedPush?: number;
  /**
   * Reserved concurrency of agent-api. -1: none. 0 stops it. Default: -1.
   */
  readonly reservedAgentApi?: number;
  /**
   * Reserved concurrency of admin-api. -1: none. 0 stops it. Default: -1.
   */
  readonly reservedAdminApi?: number;
  /**
   * Reserved concurrency of realtime. -1: none. 0 stops it. Default: -1.
   */
  readonly reservedRealtime?: number;
  /**
   * Reserved concurrency of reconcile. -1: none. 0 stops it. Default: -1.
   */
  readonly reservedReconcile?: number;
}

/** The template's outputs. */
export interface ConnectorOutputs {
  /**
   * The HTTP API's own address.
   */
  readonly httpApiUrl: string;
  /**
   * The address under which the Receive URLs, the agent API (/agent) and the admin API (/admin) are.
   */
  readonly publicUrl: string;
  /**
   * The address for agents' sockets.
   */
  readonly webSocketUrl: string;
  /**
   * Accounts, agents, queues, lists.
   */
  readonly configTable: string;
  /**
   * Events, conversations, presence, feeds.
   */
  readonly interactionsTable: string;
  /**
   * Attachments, transcripts, logs.
   */
  readonly bucket: string;
  /**
   * The user pool. Invite agents into it.
   */
  readonly userPoolId: string | undefined;
  /**
   * The user pool's client, with which agents log in.
   */
  readonly userPoolClientId: string | undefined;
}

/** A parameter: its name in the template, and what its value must be. */
export interface Rule {
  readonly name: string;
  readonly pattern?: string;
  readonly reason?: string;
  readonly least?: number;
  readonly most?: number;
  readonly values?: readonly (string | number)[];
}

export const PARAMETERS: { readonly [property in keyof Required<ConnectorParameters>]: Rule } = {
  publicUrl: {"name":"PublicUrl","pattern":"^(https://.*[^/]|http://(127\\.0\\.0\\.1|localhost)(:[0-9]+)?(/.*[^/])?)?$","reason":"https, without a slash at the end. http is for this machine only."},
  webSocketUrl: {"name":"WebSocketUrl","pattern":"^(wss://.*[^/]|ws://(127\\.0\\.0\\.1|localhost)(:[0-9]+)?(/.*[^/])?)?$","reason":"wss, without a slash at the end. ws is for this machine only."},
  disableDefaultEndpoints: {"name":"DisableDefaultEndpoints","values":["true","false"]},
  twilioApiUrl: {"name":"TwilioApiUrl","pattern":"^(https://.*[^/]|http://(127\\.0\\.0\\.1|localhost)(:[0-9]+)?(/.*[^/])?)$"},
  twilioContentUrl: {"name":"TwilioContentUrl","pattern":"^(https://.*[^/]|http://(127\\.0\\.0\\.1|localhost)(:[0-9]+)?(/.*[^/])?)$"},
  twilioMessagingUrl: {"name":"TwilioMessagingUrl","pattern":"^(https://.*[^/]|http://(127\\.0\\.0\\.1|localhost)(:[0-9]+)?(/.*[^/])?)$"},
  metaApiUrl: {"name":"MetaApiUrl","pattern":"^(https://.*[^/]|http://(127\\.0\\.0\\.1|localhost)(:[0-9]+)?(/.*[^/])?)$"},
  sinchAuthUrl: {"name":"SinchAuthUrl","pattern":"^(https://.*[^/]|http://(127\\.0\\.0\\.1|localhost)(:[0-9]+)?(/.*[^/])?)$"},
  egressAllowedOrigins: {"name":"EgressAllowedOrigins"},
  engineUrl: {"name":"EngineUrl","pattern":"^(http://.*[^/])?$"},
  jwtIssuer: {"name":"JwtIssuer","pattern":"^(https://.+|http://(127\\.0\\.0\\.1|localhost)(:[0-9]+)?(/.*)?)?$","reason":"https. http is for this machine only."},
  jwtAudience: {"name":"JwtAudience"},
  jwksUrl: {"name":"JwksUrl","pattern":"^(https://.+|http://(127\\.0\\.0\\.1|localhost)(:[0-9]+)?(/.*)?)?$","reason":"https. http is for this machine only."},
  jwtRoleClaim: {"name":"JwtRoleClaim"},
  roleSource: {"name":"RoleSource","values":["record","claim"]},
  requireMfa: {"name":"RequireMfa","values":["true","false"]},
  userPoolDomainPrefix: {"name":"UserPoolDomainPrefix","pattern":"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)?$"},
  alarmTopicArn: {"name":"AlarmTopicArn"},
  deletionProtection: {"name":"DeletionProtection","values":["true","false"]},
  backupDays: {"name":"BackupDays","least":1,"most":30},
  logLevel: {"name":"LogLevel","values":["error","warn","info","debug","trace"]},
  logRetentionDays: {"name":"LogRetentionDays","values":[1,3,5,7,14,30,60,90,120,150,180,365,400,545,731]},
  maxReceiveCount: {"name":"MaxReceiveCount","least":1,"most":1000},
  visibilityTimeout: {"name":"VisibilityTimeout","least":0,"most":43200},
  apiThrottles: {"name":"ApiThrottles","values":["standard","high","none"]},
  routeConcurrency: {"name":"RouteConcurrency","least":2,"most":1000},
  timersConcurrency: {"name":"TimersConcurrency","least":2,"most":1000},
  assignConcurrency: {"name":"AssignConcurrency","least":2,"most":1000},
  sendConcurrency: {"name":"SendConcurrency","least":2,"most":1000},
  pushConcurrency: {"name":"PushConcurrency","least":2,"most":1000},
  mediaConcurrency: {"name":"MediaConcurrency","least":2,"most":1000},
  webhookConcurrency: {"name":"WebhookConcurrency","least":2,"most":1000},
  archiveConcurrency: {"name":"ArchiveConcurrency","least":2,"most":1000},
  configWarmReadUnits: {"name":"ConfigWarmReadUnits","least":12000},
  configWarmWriteUnits: {"name":"ConfigWarmWriteUnits","least":4000},
  configMaxReadUnits: {"name":"ConfigMaxReadUnits","least":0},
  configMaxWriteUnits: {"name":"ConfigMaxWriteUnits","least":0},
  interactionsWarmReadUnits: {"name":"InteractionsWarmReadUnits","least":12000},
  interactionsWarmWriteUnits: {"name":"InteractionsWarmWriteUnits","least":4000},
  interactionsMaxReadUnits: {"name":"InteractionsMaxReadUnits","least":0},
  interactionsMaxWriteUnits: {"name":"InteractionsMaxWriteUnits","least":0},
  shipArchitecture: {"name":"ShipArchitecture","values":["arm64","x86_64"]},
  reservedReceiveTwilio: {"name":"ReservedReceiveTwilio","least":-1},
  reservedReceiveMeta: {"name":"ReservedReceiveMeta","least":-1},
  reservedReceiveSinch: {"name":"ReservedReceiveSinch","least":-1},
  reservedReceiveKaleyra: {"name":"ReservedReceiveKaleyra","least":-1},
  reservedRoute: {"name":"ReservedRoute","least":-1},
  reservedAssign: {"name":"ReservedAssign","least":-1},
  reservedDispatch: {"name":"ReservedDispatch","least":-1},
  reservedSend: {"name":"ReservedSend","least":-1},
  reservedMedia: {"name":"ReservedMedia","least":-1},
  reservedArchive: {"name":"ReservedArchive","least":-1},
  reservedPush: {"name":"ReservedPush","least":-1},
  reservedAgentApi: {"name":"ReservedAgentApi","least":-1},
  reservedAdminApi: {"name":"ReservedAdminApi","least":-1},
  reservedRealtime: {"name":"ReservedRealtime","least":-1},
  reservedReconcile: {"name":"ReservedReconcile","least":-1},
};

/** The functions: logical ids, and the programs of the workspace that they run. */
export const FUNCTIONS = {
  ReceiveTwilioFunction: "receive-twilio",
  ReceiveMetaFunction: "receive-meta",
  ReceiveSinchFunction: "receive-sinch",
  ReceiveKaleyraFunction: "receive-kaleyra",
  ReconcileFunction: "reconcile",
  RouteFunction: "route",
  AssignFunction: "assign",
  DispatchFunction: "dispatch",
  SendFunction: "send",
  MediaFunction: "media",
  WebhookFunction: "webhook",
  ArchiveFunction: "archive",
  PushFunction: "push",
  AgentApiFunction: "agent-api",
  AdminApiFunction: "admin-api",
  RealtimeFunction: "realtime",
} as const;
