import * as assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { App, Stack, Validations } from "aws-cdk-lib";
import { Template } from "aws-cdk-lib/assertions";
import { Certificate } from "aws-cdk-lib/aws-certificatemanager";
import { SqsQueue } from "aws-cdk-lib/aws-events-targets";
import { HostedZone } from "aws-cdk-lib/aws-route53";
import { Topic } from "aws-cdk-lib/aws-sns";
import { Queue } from "aws-cdk-lib/aws-sqs";
import { CfnInclude } from "aws-cdk-lib/cloudformation-include";
import { WhatsAppConnector, type WhatsAppConnectorProps } from "../src";
import { FUNCTIONS, PARAMETERS } from "../src/generated";

const ARM64 = 183;
const X86_64 = 62;

/** A folder with a program for every function: a header, which is all that the construct reads. */
function programs(machine = ARM64): string {
  const folder = mkdtempSync(join(tmpdir(), "programs-"));
  const header = Buffer.alloc(64);
  header.write("\x7fELF", "latin1");
  header.writeUInt16LE(machine, 18);
  for (const name of Object.values(FUNCTIONS)) {
    mkdirSync(join(folder, name));
    writeFileSync(join(folder, name, "bootstrap"), header);
  }
  return folder;
}

function stack(): Stack {
  return new Stack(new App({ outdir: mkdtempSync(join(tmpdir(), "cdk-")) }), "Test", { env: { account: "123456789012", region: "eu-south-1" } });
}

function synthesised(props: WhatsAppConnectorProps = {}, more: (connector: WhatsAppConnector, stack: Stack) => void = () => {}) {
  const within = stack();
  more(new WhatsAppConnector(within, "Connector", { code: { folder: programs() }, ...props }), within);
  return Template.fromStack(within).toJSON();
}

/** What CDK makes of the template itself, without the construct. */
function plain() {
  const within = stack();
  Validations.of(within).acknowledge({ id: "CloudFormation-Validate::W1030", reason: "empty defaults stand for none" });
  new CfnInclude(within, "Template", { templateFile: join(__dirname, "..", "..", "..", "template.yaml") });
  return Template.fromStack(within).toJSON();
}

/** CDK adds its own. */
function ours<T extends Record<string, unknown>>(section: T): T {
  return Object.fromEntries(Object.entries(section).filter(([name]) => !/^(CDKMetadata|BootstrapVersion|CheckBootstrapVersion)/.test(name))) as T;
}

test("only the places of the programs differ from the template", () => {
  const [made, expected] = [synthesised(), plain()];
  for (const id of Object.keys(FUNCTIONS)) {
    const { CodeUri: place } = made.Resources[id].Properties;
    assert.match(place.Key, /^[0-9a-f]{64}\.zip$/, id);
    assert.ok(place.Bucket, id);
    assert.match(expected.Resources[id].Properties.CodeUri, /^\.\.\/functions\//);
    delete made.Resources[id].Properties.CodeUri;
    delete expected.Resources[id].Properties.CodeUri;
  }
  for (const section of ["Transform", "Globals", "Conditions", "Parameters", "Rules", "Resources", "Outputs"]) {
    assert.deepEqual(section === "Transform" ? made[section] : ours(made[section]), section === "Transform" ? expected[section] : ours(expected[section]), section);
  }
});

test("the template that CDK reads has what the file says", () => {
  const text = readFileSync(join(__dirname, "..", "..", "..", "template.yaml"), "utf8");
  const made = ours(plain().Resources);
  const declared = [...text.matchAll(/^ {2}(\w+):\n(?: {4}#.*\n)* {4}Type: AWS::/gm)].map((match) => match[1]);
  assert.ok(declared.length > 150, `${declared.length}`);
  assert.deepEqual(Object.keys(made).sort(), declared.sort());
  assert.equal((made.ConfigTable as { DeletionPolicy: string }).DeletionPolicy, "RetainExceptOnCreate");
});

test("every parameter has its typed property and every property its parameter", () => {
  const names = Object.values(PARAMETERS).map((rule) => rule.name);
  assert.deepEqual(names.sort(), Object.keys(ours(plain().Parameters)).sort());
});

test("a value replaces its parameter everywhere", () => {
  const made = synthesised({ sendConcurrency: 60, logLevel: "debug", deletionProtection: true, reservedRoute: 7, roleSource: "claim" });
  assert.equal(made.Resources.SendOutbound.Properties.ScalingConfig.MaximumConcurrency, 60);
  assert.equal(made.Globals.Function.Environment.Variables.LOG_LEVEL, "debug");
  assert.deepEqual(made.Conditions.IsProtected, { "Fn::Equals": ["true", "true"] });
  assert.deepEqual(made.Conditions.ReservesRoute, { "Fn::Not": [{ "Fn::Equals": ["7", -1] }] });
  for (const name of ["SendConcurrency", "LogLevel", "DeletionProtection", "ReservedRoute", "RoleSource"]) {
    assert.ok(!(name in made.Parameters), name);
    assert.ok(!JSON.stringify(made).includes(`{"Ref":"${name}"}`), name);
  }
});

test("a value that CloudFormation would refuse is refused", () => {
  const refused = (props: object, said: RegExp) => assert.throws(() => synthesised(props), said);
  refused({ publicUrl: "http://chat.example.com" }, /publicUrl: .* https, without a slash/);
  refused({ sendConcurrency: 1 }, /sendConcurrency: 1 is not allowed\. It must be 2 to 1000/);
  refused({ logLevel: "loud" }, /logLevel: .* Allowed: error, warn/);
  refused({ logRetentionDays: 8 }, /logRetentionDays/);
  const within = stack();
  const topic = new Topic(within, "Topic");
  assert.throws(() => new WhatsAppConnector(within, "C", { code: { folder: programs() }, alarmTopicArn: topic.topicArn }), /alarmTopicArn must be known/);
});

test("a program that is missing or was built for another processor is refused", () => {
  assert.throws(() => synthesised({ code: { folder: "/nowhere" } }), /receive-twilio\/bootstrap is missing: run `cargo lambda build --release --arm64`/);
  assert.throws(() => synthesised({ code: { folder: programs(X86_64) } }), /is not a Linux program for arm64/);
  const made = synthesised({ code: { folder: programs(X86_64) }, shipArchitecture: "x86_64" });
  assert.deepEqual(made.Globals.Function.Architectures, ["x86_64"]);
});

test("outputs are attributes", () => {
  synthesised({}, (connector, within) => {
    assert.deepEqual(within.resolve(connector.configTable), { Ref: "ConfigTable" });
    assert.deepEqual(within.resolve(connector.userPoolId), { Ref: "UserPool" });
    assert.ok(within.resolve(connector.publicUrl)["Fn::If"]);
  });
  synthesised({ jwtIssuer: "https://login.example.com", jwtAudience: "connector" }, (connector) => {
    assert.equal(connector.userPoolId, undefined);
  });
});

test("a team's topic gets every alarm", () => {
  const within = stack();
  const topic = new Topic(within, "Alarms");
  new WhatsAppConnector(within, "Connector", { code: { folder: programs() }, alarmTopic: topic });
  const alarms = Object.values(Template.fromStack(within).findResources("AWS::CloudWatch::Alarm"));
  assert.ok(alarms.length > 60, `${alarms.length}`);
  for (const alarm of alarms) assert.deepEqual(alarm.Properties.AlarmActions, [within.resolve(topic.topicArn)]);
});

test("a team's domains lead to the APIs and become their addresses", () => {
  const within = stack();
  const certificate = Certificate.fromCertificateArn(within, "Certificate", "arn:aws:acm:eu-south-1:123456789012:certificate/x");
  const hostedZone = HostedZone.fromHostedZoneAttributes(within, "Zone", { hostedZoneId: "Z1", zoneName: "example.com" });
  new WhatsAppConnector(within, "Connector", {
    code: { folder: programs() },
    domain: { name: "chat.example.com", certificate, hostedZone },
    webSocketDomain: { name: "live.example.com", certificate, hostedZone },
    disableDefaultEndpoints: true,
  });
  const made = Template.fromStack(within);
  made.hasOutput("PublicUrl", { Value: { "Fn::If": ["HasPublicUrl", "https://chat.example.com", made.toJSON().Outputs.PublicUrl.Value["Fn::If"][2]] } });
  made.hasResourceProperties("AWS::ApiGatewayV2::ApiMapping", { ApiId: { Ref: "HttpApi" }, Stage: "$default" });
  made.hasResourceProperties("AWS::ApiGatewayV2::ApiMapping", { ApiId: { Ref: "WebSocketApi" }, Stage: "live" });
  made.resourceCountIs("AWS::Route53::RecordSet", 2);
});

test("a team's triggers hear of new objects", () => {
  const made = synthesised({}, (connector, within) => connector.onObject("Archived", "logs/", new SqsQueue(new Queue(within, "Logs"))));
  const rules = Object.values(made.Resources as Record<string, { Type: string; Properties: Record<string, any> }>);
  const rule = rules.find((found) => found.Type === "AWS::Events::Rule" && found.Properties.Description?.includes("logs/"));
  assert.deepEqual(rule?.Properties.EventPattern.detail, { bucket: { name: [{ Ref: "Bucket" }] }, object: { key: [{ prefix: "logs/" }] } });
});
