// An example: `npx cdk --app "node dist/example/app.js" deploy`. Copy it, and change what is yours.
import { join } from "node:path";
import { App, Stack } from "aws-cdk-lib";
import { Topic } from "aws-cdk-lib/aws-sns";
import { WhatsAppConnector } from "../src";

// CI gives folders of its own.
const { CONNECTOR_OUT: outdir, CONNECTOR_CODE: folder } = process.env;
const app = new App({ outdir: outdir ?? join(__dirname, "..", "..", "cdk.out") });
const stack = new Stack(app, "whatsapp");

new WhatsAppConnector(stack, "Connector", {
  logRetentionDays: 90,
  sendConcurrency: 60,
  // In production: true.
  deletionProtection: false,
  alarmTopic: new Topic(stack, "Alarms"),
  ...(folder && { code: { folder } }),
});

app.synth();
