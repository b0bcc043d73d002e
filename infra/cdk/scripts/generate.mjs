// Writes src/generated.ts from the template: a typed property for each parameter, an attribute for each output, and
// the names of the functions. Each build does it, so the file is not committed.
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import cdk from "aws-cdk-lib";
import include from "aws-cdk-lib/cloudformation-include";

const source = fileURLToPath(new URL("../../template.yaml", import.meta.url));
const target = fileURLToPath(new URL("../src/generated.ts", import.meta.url));

// CDK's own reader of templates, so that this file and the construct read the same.
const stack = new cdk.Stack(new cdk.App(), "Template");
new include.CfnInclude(stack, "Template", { templateFile: source });
const template = stack.resolve(stack._toCloudFormation());

const camel = (name) => name.charAt(0).toLowerCase() + name.slice(1);

/** Prose in lines that fit beside another file, as the contents of a comment. */
function comment(text, indent) {
  const lines = [""];
  for (const word of text.replaceAll("*/", "* /").split(/\s+/)) {
    if (lines.at(-1) !== "" && `${indent} * ${lines.at(-1)} ${word}`.length > 116) lines.push("");
    lines[lines.length - 1] = `${lines.at(-1)} ${word}`.trim();
  }
  return [`${indent}/**`, ...lines.map((line) => `${indent} * ${line}`.trimEnd()), `${indent} */`].join("\n");
}

function typed({ Type, AllowedValues: values }) {
  if (values?.length === 2 && values.includes("true") && values.includes("false")) return "boolean";
  if (values) return values.map((value) => JSON.stringify(value)).join(" | ");
  if (Type === "Number") return "number";
  if (Type === "String") return "string";
  throw new Error(`the type ${Type} has no property yet`);
}

/** What CloudFormation would check, had the parameter not been replaced by its value. */
function rule(name, { AllowedPattern, ConstraintDescription, MinValue, MaxValue, AllowedValues }) {
  const said = { name, pattern: AllowedPattern, reason: ConstraintDescription, least: MinValue, most: MaxValue, values: AllowedValues };
  return JSON.stringify(Object.fromEntries(Object.entries(said).filter(([, value]) => value !== undefined)));
}

const parameters = Object.entries(template.Parameters);
const outputs = Object.entries(template.Outputs);
const functions = Object.entries(template.Resources).filter(([, resource]) => resource.Type === "AWS::Serverless::Function");
const described = (parameter) => `${parameter.Description}${parameter.Default === "" ? "" : ` Default: ${parameter.Default}.`}`;

const text = `// Generated from infra/template.yaml by scripts/generate.mjs. Do not edit.

/** The template's parameters. Each has a default that works. */
export interface ConnectorParameters {
${parameters.map(([name, parameter]) => `${comment(described(parameter), "  ")}\n  readonly ${camel(name)}?: ${typed(parameter)};`).join("\n")}
}

/** The template's outputs. */
export interface ConnectorOutputs {
${outputs
  .map(([name, output]) => `${comment(output.Description, "  ")}\n  readonly ${camel(name)}: string${output.Condition ? " | undefined" : ""};`)
  .join("\n")}
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
${parameters.map(([name, parameter]) => `  ${camel(name)}: ${rule(name, parameter)},`).join("\n")}
};

/** The functions: logical ids, and the programs of the workspace that they run. */
export const FUNCTIONS = {
${functions.map(([id, resource]) => `  ${id}: ${JSON.stringify(resource.Metadata.BuildProperties.Binary)},`).join("\n")}
} as const;
`;

writeFileSync(target, text);
