import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Stack, Token, Validations } from "aws-cdk-lib";
import * as apigatewayv2 from "aws-cdk-lib/aws-apigatewayv2";
import type { ICertificate } from "aws-cdk-lib/aws-certificatemanager";
import { CfnAlarm } from "aws-cdk-lib/aws-cloudwatch";
import { type IRuleTarget, Rule } from "aws-cdk-lib/aws-events";
import { ARecord, type IHostedZone, RecordTarget } from "aws-cdk-lib/aws-route53";
import { ApiGatewayv2DomainProperties } from "aws-cdk-lib/aws-route53-targets";
import { Asset } from "aws-cdk-lib/aws-s3-assets";
import type { CfnFunction } from "aws-cdk-lib/aws-sam";
import type { ITopic } from "aws-cdk-lib/aws-sns";
import { CfnInclude } from "aws-cdk-lib/cloudformation-include";
import { Construct } from "constructs";
import { type ConnectorOutputs, type ConnectorParameters, FUNCTIONS, PARAMETERS } from "./generated";

/** A name of the team's own for one of the APIs. */
export interface Domain {
  /** The host, `chat.example.com`. */
  readonly name: string;
  /** A certificate for it, in the stack's region. */
  readonly certificate: ICertificate;
  /** The zone that gets the record. Without it, point the name at the domain's target yourself. */
  readonly hostedZone?: IHostedZone;
}

/** Where the functions' programs are. */
export interface CodeOptions {
  /** The folder in which `cargo lambda build --release --arm64` puts `NAME/bootstrap`. Default: target/lambda of this checkout. */
  readonly folder?: string;
}

export interface WhatsAppConnectorProps extends ConnectorParameters {
  /** Where the functions' programs are. */
  readonly code?: CodeOptions;
  /** The team's domain for the HTTP API. It becomes `publicUrl`. */
  readonly domain?: Domain;
  /** The team's domain for the sockets, another one than `domain`. It becomes `webSocketUrl`. */
  readonly webSocketDomain?: Domain;
  /** The topic that receives every alarm. Use this, not `alarmTopicArn`, for a topic that CDK makes. */
  readonly alarmTopic?: ITopic;
  /** The template. Default: the one of this checkout, or of this package. */
  readonly templateFile?: string;
}

/** The linkers' name of a processor, and its number in the header of a program (ELF, e_machine). */
const MACHINES = { arm64: 183, x86_64: 62 } as const;

/**
 * The WhatsApp connector. It includes the SAM template as it is, so that both ways to deploy make the same resources;
 * only the places of the programs are replaced, and the parameters by the values that are given here. The stack should
 * hold nothing else: the names of functions and log groups begin with its name, which may have 49 characters.
 */
export class WhatsAppConnector extends Construct implements ConnectorOutputs {
  readonly httpApiUrl: string;
  readonly publicUrl: string;
  readonly webSocketUrl: string;
  readonly configTable: string;
  readonly interactionsTable: string;
  readonly derivedTable: string;
  readonly bucket: string;
  readonly userPoolId: string | undefined;
  readonly userPoolClientId: string | undefined;
  /** Every resource of the template, by its logical id: `template.getResource("SendFunction")`. */
  readonly template: CfnInclude;

  constructor(scope: Construct, id: string, props: WhatsAppConnectorProps = {}) {
    super(scope, id);
    const given = {
      ...props,
      ...(props.domain && { publicUrl: `https://${literal("domain.name", props.domain.name)}` }),
      ...(props.webSocketDomain && { webSocketUrl: `wss://${literal("webSocketDomain.name", props.webSocketDomain.name)}` }),
    };
    if (props.domain && props.publicUrl !== undefined) throw new Error("give domain or publicUrl, not both");
    if (props.webSocketDomain && props.webSocketUrl !== undefined) throw new Error("give webSocketDomain or webSocketUrl, not both");
    if (props.alarmTopic && props.alarmTopicArn !== undefined) throw new Error("give alarmTopic or alarmTopicArn, not both");

    this.template = new CfnInclude(this, "Template", { templateFile: props.templateFile ?? templateFile(), parameters: values(given) });
    this.programs(props.code?.folder ?? join(checkout(), "target", "lambda"), given.shipArchitecture ?? "arm64");

    const output = (name: string): string => this.template.getOutput(name).value as string;
    this.httpApiUrl = output("HttpApiUrl");
    this.publicUrl = output("PublicUrl");
    this.webSocketUrl = output("WebSocketUrl");
    this.configTable = output("ConfigTable");
    this.interactionsTable = output("InteractionsTable");
    this.derivedTable = output("DerivedTable");
    this.bucket = output("Bucket");
    const ownPool = !given.jwtIssuer;
    this.userPoolId = ownPool ? output("UserPoolId") : undefined;
    this.userPoolClientId = ownPool ? output("UserPoolClientId") : undefined;

    if (props.domain) this.serve("Domain", props.domain, "HttpApi", "HttpStage", "$default");
    if (props.webSocketDomain) this.serve("WebSocketDomain", props.webSocketDomain, "WebSocketApi", "WebSocketStage", "live");
    if (props.alarmTopic) this.alert(props.alarmTopic);

    // CDK checks a template as if every default and every branch reached a property.
    const known = {
      W1030: "the template's empty defaults stand for none; its conditions keep them out of the properties",
      W1028: "a value that is given decides a condition",
      W8001: "a team's topic takes the place of a condition",
      W8003: "a value that is given decides a condition",
    };
    for (const [warning, why] of Object.entries(known)) {
      Validations.of(Stack.of(this)).acknowledge({ id: `CloudFormation-Validate::${warning}`, reason: why });
    }
  }

  /**
   * Calls the team's own function, queue or state machine for each object that appears in the bucket under `prefix`:
   * `transcripts/`, `logs/` (one document for each closed interaction) or `media/`. EventBridge delivers at least once.
   */
  onObject(id: string, prefix: string, target: IRuleTarget): Rule {
    return new Rule(this, id, {
      description: `Objects of the WhatsApp connector under ${prefix}`,
      eventPattern: {
        source: ["aws.s3"],
        detailType: ["Object Created"],
        detail: { bucket: { name: [this.bucket] }, object: { key: [{ prefix }] } },
      },
      targets: [target],
    });
  }

  /** Each function gets the program that was built for it. */
  private programs(folder: string, architecture: keyof typeof MACHINES): void {
    for (const [id, name] of Object.entries(FUNCTIONS)) {
      const path = join(folder, name);
      const program = join(path, "bootstrap");
      if (!existsSync(program)) {
        const flag = architecture === "arm64" ? " --arm64" : "";
        throw new Error(`${program} is missing: run \`cargo lambda build --release${flag}\` in the checkout, or set code.folder`);
      }
      checkMachine(program, architecture);
      const asset = new Asset(this, `${id}Code`, { path });
      const resource = this.template.getResource(id) as CfnFunction;
      resource.codeUri = { bucket: asset.s3BucketName, key: asset.s3ObjectKey };
    }
  }

  private serve(id: string, domain: Domain, api: string, stage: string, stageName: string): void {
    const name = new apigatewayv2.DomainName(this, id, { domainName: domain.name, certificate: domain.certificate });
    const mapping = new apigatewayv2.CfnApiMapping(this, `${id}Mapping`, {
      apiId: this.template.getResource(api).ref,
      domainName: name.name,
      stage: stageName,
    });
    mapping.addDependency(this.template.getResource(stage));
    if (domain.hostedZone) {
      new ARecord(this, `${id}Record`, {
        zone: domain.hostedZone,
        recordName: `${domain.name}.`,
        target: RecordTarget.fromAlias(new ApiGatewayv2DomainProperties(name.regionalDomainName, name.regionalHostedZoneId)),
      });
    }
  }

  /** Sets the topic on the alarms themselves: a template's condition can't look at a resource. */
  private alert(topic: ITopic): void {
    for (const alarm of this.template.node.findAll()) {
      if (alarm instanceof CfnAlarm) alarm.alarmActions = [topic.topicArn];
    }
  }
}

/** The values that are given, by the names of the template's parameters. */
function values(given: ConnectorParameters): Record<string, string> {
  const found: Record<string, string> = {};
  for (const [property, rule] of Object.entries(PARAMETERS)) {
    const value = given[property as keyof ConnectorParameters];
    if (value === undefined) continue;
    const text = literal(property, String(value));
    // CloudFormation checks parameters, and these are replaced before it sees them.
    const fits =
      (rule.pattern === undefined || new RegExp(rule.pattern).test(text)) &&
      (rule.least === undefined || Number(text) >= rule.least) &&
      (rule.most === undefined || Number(text) <= rule.most) &&
      (rule.values === undefined || rule.values.map(String).includes(text));
    if (!fits) throw new Error(`${property}: ${JSON.stringify(value)} is not allowed. ${rule.reason ?? describe(rule)}`);
    found[rule.name] = text;
  }
  return found;
}

function describe({ pattern, least, most, values: allowed }: { pattern?: string; least?: number; most?: number; values?: readonly unknown[] }): string {
  if (allowed) return `Allowed: ${allowed.join(", ")}.`;
  return pattern ? `It must match ${pattern}.` : `It must be ${least ?? "…"} to ${most ?? "…"}.`;
}

/** The template's conditions look at parameters when the stack is made, and then no resource has a value yet. */
function literal(property: string, value: string): string {
  if (Token.isUnresolved(value)) throw new Error(`${property} must be known when the app is synthesised`);
  return value;
}

function checkMachine(program: string, architecture: keyof typeof MACHINES): void {
  const header = readFileSync(program).subarray(0, 20);
  const machine = header.subarray(0, 4).equals(Buffer.from("\x7fELF", "latin1")) ? header.readUInt16LE(18) : undefined;
  if (machine !== MACHINES[architecture]) throw new Error(`${program} is not a Linux program for ${architecture}: it would not start`);
}

/** The checkout that this package is in: …/infra/cdk/dist/src. */
function checkout(): string {
  return join(__dirname, "..", "..", "..", "..");
}

function templateFile(): string {
  const packed = join(__dirname, "..", "..", "template.yaml");
  return existsSync(packed) ? packed : join(checkout(), "infra", "template.yaml");
}
