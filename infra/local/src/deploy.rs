//! Deploys `infra/template.yaml`, the very file that goes to AWS, to the local engine. It packages the template as
//! `sam package` does, creates or updates the stack through the CloudFormation API, and waits.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hasher as _};
use std::io::{Cursor, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use roxmltree::{Document, Node};
use serde_json::{Value, json};

use crate::engine::Engine;

/// Any region works; clients must name the same one.
pub const REGION: &str = "us-east-1";

/// A deployment: the template, the program and the place.
#[derive(Debug, Clone)]
pub struct Deployment<'a> {
    /// The engine.
    pub engine: &'a Engine,
    /// An account of the engine, separate from all others: 12 digits. They are also the access key id for
    /// everything in it.
    pub account: &'a str,
    /// The stack's name; the functions' names begin with it.
    pub stack: &'a str,
    /// The SAM template.
    pub template: PathBuf,
    /// The program that every function runs: `local` itself.
    pub program: PathBuf,
    /// Parameters of the template.
    pub parameters: BTreeMap<String, String>,
}

/// A deployed stack.
#[derive(Debug, Clone)]
pub struct Stack {
    /// Its name.
    pub name: String,
    /// The engine's account of the stack.
    pub account: String,
    /// The outputs of the template.
    pub outputs: BTreeMap<String, String>,
    /// Physical ids by logical id.
    pub resources: BTreeMap<String, String>,
    /// `scheme://host/prefix` of the HTTP API, without a slash at the end.
    pub public_url: String,
    /// The address for agents' sockets, `ws://…`.
    pub websocket_url: String,
    api: Aws,
}

impl<'a> Deployment<'a> {
    /// A deployment of the checkout's template to an account of its own. `program` runs the functions.
    pub fn new(engine: &'a Engine, account: &'a str, program: &Path) -> Self {
        // The APIs' addresses are under the engine's.
        let mut parameters = BTreeMap::from([("EngineUrl".to_owned(), engine.endpoint.clone())]);
        // As in any new stack.
        parameters.insert("CompactItems".to_owned(), "true".to_owned());
        // By the name that the functions know it by: `LOG_LEVEL=debug cargo local`.
        parameters.extend(std::env::var("LOG_LEVEL").map(|level| ("LogLevel".to_owned(), level)));
        Self {
            engine,
            account,
            stack: "local",
            template: crate::workspace().join("infra/template.yaml"),
            program: program.to_path_buf(),
            parameters,
        }
    }

    /// Adds a parameter.
    pub fn parameter(mut self, name: &str, value: &str) -> Self {
        self.parameters.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Sets the parameters that point everything outside at the stand-in.
    pub fn with_standin(self, url: &str) -> Self {
        self.parameter("TwilioApiUrl", url)
            .parameter("TwilioContentUrl", url)
            .parameter("TwilioMessagingUrl", url)
            .parameter("MetaApiUrl", &format!("{url}/meta/v26.0"))
            .parameter("SinchAuthUrl", &format!("{url}/sinch-auth"))
            .parameter("TranslateUrl", &format!("{url}/translate"))
            .parameter("GoogleTranslateUrl", &format!("{url}/google-translate"))
            .parameter("GoogleTokenUrl", &format!("{url}/google-token"))
            .parameter("BedrockUrl", &format!("{url}/bedrock"))
            .parameter("VidaooUrl", &format!("{url}/vidaoo"))
            .parameter("JwtIssuer", url)
            .parameter("JwtAudience", crate::standin::AUDIENCE)
            .parameter("JwksUrl", &format!("{url}/.well-known/jwks.json"))
            .parameter("EgressAllowedOrigins", url)
    }

    /// Creates the stack, or updates it if it exists, and waits until it is complete.
    ///
    /// # Errors
    /// The deployment failed. The error holds the reason of each failed resource, from the stack's events.
    pub async fn run(self) -> Result<Stack> {
        let aws = Aws::new(self.engine, self.account);
        let template = std::fs::read_to_string(&self.template).with_context(|| format!("{} can't be read", self.template.display()))?;
        let bucket = format!("{}-code-{}", self.stack, self.account);
        let code = format!("functions-{:016x}.zip", hash_of(&self.program));
        aws.put(&bucket, "", Vec::new()).await?;
        let packaged = match made_by_cdk(&template) {
            Some(made) => {
                self.upload_assets(&aws, &made).await?;
                template
            }
            None => {
                aws.put(&bucket, &code, bundle(&self.program)?).await?;
                package(&template, &format!("s3://{bucket}/{code}"))
            }
        };
        let key = format!("template-{:016x}.yaml", hash_of(&packaged));
        aws.put(&bucket, &key, packaged.into_bytes()).await?;
        let template_url = format!("{}/{bucket}/{key}", self.engine.endpoint);

        aws.apply(self.stack, &template_url, &self.parameters).await
    }

    /// Does what `cdk bootstrap` and `cdk deploy` do before the stack: the mark of the bootstrap, and the functions'
    /// code at the places that the template names.
    async fn upload_assets(&self, aws: &Aws, template: &Value) -> Result<()> {
        let mark = json!({"Name": "/cdk-bootstrap/hnb659fds/version", "Value": "21", "Type": "String", "Overwrite": true});
        aws.json("AmazonSSM.PutParameter", "ssm", &mark).await?;
        let code = bundle(&self.program)?;
        for (bucket, key) in assets(template, self.account)? {
            aws.put(&bucket, "", Vec::new()).await?;
            aws.put(&bucket, &key, code.clone()).await?;
        }
        Ok(())
    }
}

/// The template, if CDK made it: CDK writes JSON.
fn made_by_cdk(template: &str) -> Option<Value> {
    template.trim_start().starts_with('{').then(|| serde_json::from_str(template).ok()).flatten()
}

/// Buckets and keys of the functions' code in a template that CDK made.
fn assets(template: &Value, account: &str) -> Result<BTreeSet<(String, String)>> {
    let resources = template["Resources"].as_object().context("the template has no resources")?;
    let functions = resources.iter().filter(|(_, resource)| resource["Type"] == "AWS::Serverless::Function");
    functions
        .map(|(id, function)| {
            let place = &function["Properties"]["CodeUri"];
            let bucket = place["Bucket"]["Fn::Sub"].as_str().zip(place["Key"].as_str());
            let (bucket, key) = bucket.with_context(|| format!("{id} has no place for its code: {place}"))?;
            anyhow::Ok((bucket.replace("${AWS::AccountId}", account).replace("${AWS::Region}", REGION), key.to_owned()))
        })
        .collect()
}

impl Stack {
    /// A function's log, oldest line first, for a person who wants to know why a step failed.
    ///
    /// # Errors
    /// The engine didn't answer.
    pub async fn log(&self, function: &str) -> Result<Vec<String>> {
        let group = format!("/aws/lambda/{}-{function}", self.name);
        let answer = self.api.json("Logs_20140328.FilterLogEvents", "logs", &json!({"logGroupName": group, "limit": 1000})).await?;
        let events = answer["events"].as_array().cloned().unwrap_or_default();
        Ok(events.iter().filter_map(|event| event["message"].as_str()).map(|line| line.trim_end().to_owned()).collect())
    }

    /// Calls a function as its schedule does, and waits until it is done.
    ///
    /// # Errors
    /// The function failed. The error holds its answer.
    pub async fn invoke(&self, function: &str) -> Result<()> {
        let url = format!("{}/2015-03-31/functions/{}-{function}/invocations", self.api.endpoint, self.name);
        let request =
            self.api.http.post(url).header("authorization", self.api.authorization("lambda")).body(r#"{"detail-type": "Scheduled Event"}"#);
        let answer = request.send().await.context("the engine does not answer")?;
        let failed = !answer.status().is_success() || answer.headers().contains_key("x-amz-function-error");
        let said = answer.text().await?;
        if failed { bail!("{function} failed: {said}") } else { Ok(()) }
    }

    /// An output of the template.
    ///
    /// # Errors
    /// The template has no such output.
    pub fn output(&self, name: &str) -> Result<&str> {
        self.outputs.get(name).map(String::as_str).with_context(|| format!("the template has no output {name}"))
    }
}

/// Packages the template as `sam package` does: every `CodeUri` becomes the place of the uploaded code. It works
/// line by line, so that nothing else changes.
fn package(template: &str, code: &str) -> String {
    let mut packaged = String::with_capacity(template.len());
    for line in template.lines() {
        match line.split_once("CodeUri:") {
            Some((indent, _)) if indent.trim_start_matches("- ").trim().is_empty() => {
                packaged.push_str(&format!("{indent}CodeUri: {code}"))
            }
            _ => packaged.push_str(line),
        }
        packaged.push('\n');
    }
    packaged
}

/// The code of a function: a `bootstrap` that executes `program`, so that a rebuilt program needs no new
/// deployment. The SDK sends the name of the environment with each request, and here it is the function's, so that the
/// meter knows who asks.
fn bundle(program: &Path) -> Result<Vec<u8>> {
    let path = program.to_str().context("the program's path is not UTF-8")?;
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file("bootstrap", zip::write::SimpleFileOptions::default().unix_permissions(0o755))?;
    writeln!(zip, "#!/bin/sh\nexport AWS_EXECUTION_ENV=\"$AWS_LAMBDA_FUNCTION_NAME\"\nexec '{}'", path.replace('\'', r"'\''"))?;
    Ok(zip.finish()?.into_inner())
}

fn hash_of(value: &impl std::hash::Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// The few AWS calls of a deployment, without an SDK for each.
#[derive(Debug, Clone)]
pub(crate) struct Aws {
    endpoint: String,
    account: String,
    http: reqwest::Client,
}

impl Aws {
    pub(crate) fn new(engine: &Engine, account: &str) -> Self {
        Self { endpoint: engine.endpoint.clone(), account: account.to_owned(), http: crate::http() }
    }

    /// The engine takes the account from the access key id and checks no signature.
    fn authorization(&self, service: &str) -> String {
        format!(
            "AWS4-HMAC-SHA256 Credential={}/20260101/{REGION}/{service}/aws4_request, SignedHeaders=host, Signature={:064}",
            self.account, 0
        )
    }

    async fn put(&self, bucket: &str, key: &str, body: Vec<u8>) -> Result<()> {
        let request = self.http.put(format!("{}/{bucket}/{key}", self.endpoint)).header("authorization", self.authorization("s3"));
        let answer = request.body(body).send().await.context("the engine does not answer")?;
        if !answer.status().is_success() && answer.status() != reqwest::StatusCode::CONFLICT {
            bail!("s3://{bucket}/{key} was refused: {}", answer.text().await?);
        }
        Ok(())
    }

    pub(crate) async fn json(&self, target: &str, service: &str, body: &Value) -> Result<Value> {
        let request = self.http.post(&self.endpoint).header("authorization", self.authorization(service)).header("x-amz-target", target);
        let answer = request.header("content-type", "application/x-amz-json-1.1").body(body.to_string()).send().await?;
        Ok(answer.json().await?)
    }

    async fn cloudformation(&self, action: &str, params: &[(String, String)]) -> Result<Result<String, Refusal>> {
        let form: Vec<_> = [("Action".to_owned(), action.to_owned()), ("Version".to_owned(), "2010-05-15".to_owned())]
            .into_iter()
            .chain(params.iter().cloned())
            .collect();
        let request = self.http.post(&self.endpoint).header("authorization", self.authorization("cloudformation")).form(&form);
        let answer = request.send().await.context("the engine does not answer")?;
        let ok = answer.status().is_success();
        let text = answer.text().await?;
        if ok {
            return Ok(Ok(text));
        }
        let message = Document::parse(&text).ok().and_then(|xml| text_of(xml.root(), "Message"));
        Ok(Err(Refusal(message.unwrap_or(text))))
    }

    /// Creates or updates the stack and waits.
    async fn apply(&self, stack: &str, template_url: &str, parameters: &BTreeMap<String, String>) -> Result<Stack> {
        let mut params = pairs(&[("StackName", stack), ("TemplateURL", template_url)]);
        for (place, capability) in ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"].iter().enumerate() {
            params.push((format!("Capabilities.member.{}", place + 1), (*capability).to_owned()));
        }
        for (place, (name, value)) in parameters.iter().enumerate() {
            params.push((format!("Parameters.member.{}.ParameterKey", place + 1), name.clone()));
            params.push((format!("Parameters.member.{}.ParameterValue", place + 1), value.clone()));
        }
        let exists = self.cloudformation("DescribeStacks", &pairs(&[("StackName", stack)])).await?.is_ok();
        let action = if exists { "UpdateStack" } else { "CreateStack" };
        match self.cloudformation(action, &params).await? {
            Ok(_) => {}
            Err(Refusal(reason)) if reason.contains("No updates are to be performed") => {}
            Err(Refusal(reason)) => bail!("{action} was refused: {reason}"),
        }
        let outputs = self.wait(stack).await?;
        let resources = self.resources(stack).await?;
        let output = |name: &str| outputs.get(name).cloned().with_context(|| format!("the template has no output {name}"));
        Ok(Stack {
            name: stack.to_owned(),
            account: self.account.clone(),
            public_url: output("PublicUrl")?,
            websocket_url: output("WebSocketUrl")?,
            outputs,
            resources,
            api: self.clone(),
        })
    }

    async fn wait(&self, stack: &str) -> Result<BTreeMap<String, String>> {
        let started = Instant::now();
        loop {
            let answer = self.cloudformation("DescribeStacks", &pairs(&[("StackName", stack)])).await?;
            let text = answer.map_err(|Refusal(reason)| anyhow::anyhow!("the stack can't be read: {reason}"))?;
            let xml = Document::parse(&text).context("the engine's answer is not XML")?;
            let status = text_of(xml.root(), "StackStatus").unwrap_or_default();
            if matches!(status.as_str(), "CREATE_COMPLETE" | "UPDATE_COMPLETE") {
                let outputs = xml.descendants().filter(|node| node.has_tag_name_anywhere("OutputKey")).filter_map(|key| {
                    let value = text_of(key.parent()?, "OutputValue")?;
                    Some((key.text()?.to_owned(), value))
                });
                return Ok(outputs.collect());
            }
            // A deployment usually takes seconds. The limit is for a machine that is busy compiling.
            if !status.ends_with("_IN_PROGRESS") || started.elapsed() > Duration::from_secs(120) {
                bail!("the stack is {status}: {}", self.failures(stack).await?);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn failures(&self, stack: &str) -> Result<String> {
        let Ok(text) = self.cloudformation("DescribeStackEvents", &pairs(&[("StackName", stack)])).await? else {
            return Ok("its events can't be read".into());
        };
        let xml = Document::parse(&text).context("the engine's answer is not XML")?;
        let reasons: Vec<_> = xml
            .descendants()
            .filter(|node| node.has_tag_name_anywhere("ResourceStatus") && node.text().is_some_and(|status| status.ends_with("_FAILED")))
            .filter_map(|status| {
                let event = status.parent()?;
                let reason = text_of(event, "ResourceStatusReason").unwrap_or_else(|| "no reason".into());
                Some(format!("{}: {reason}", text_of(event, "LogicalResourceId")?))
            })
            .collect();
        Ok(if reasons.is_empty() { "its events give no reason".into() } else { reasons.join("; ") })
    }

    async fn resources(&self, stack: &str) -> Result<BTreeMap<String, String>> {
        let answer = self.cloudformation("DescribeStackResources", &pairs(&[("StackName", stack)])).await?;
        let text = answer.map_err(|Refusal(reason)| anyhow::anyhow!("the stack's resources can't be read: {reason}"))?;
        let xml = Document::parse(&text).context("the engine's answer is not XML")?;
        let ids = xml.descendants().filter(|node| node.has_tag_name_anywhere("PhysicalResourceId"));
        Ok(ids.filter_map(|id| Some((text_of(id.parent()?, "LogicalResourceId")?, id.text()?.to_owned()))).collect())
    }
}

/// CloudFormation's reason for a refusal.
struct Refusal(String);

fn pairs(params: &[(&str, &str)]) -> Vec<(String, String)> {
    params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

trait LocalName {
    fn has_tag_name_anywhere(&self, name: &str) -> bool;
}

impl LocalName for Node<'_, '_> {
    /// Matches the name in any namespace.
    fn has_tag_name_anywhere(&self, name: &str) -> bool {
        self.is_element() && self.tag_name().name() == name
    }
}

/// The text of the first element of that name at or below `node`.
fn text_of(node: Node<'_, '_>, name: &str) -> Option<String> {
    node.descendants().find(|found| found.has_tag_name_anywhere(name))?.text().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str = "Parameters:
  # About this.
  PublicUrl:
    Type: String

  JwtIssuer:
    Type: String
Resources:
  Send:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: .. # the workspace
      Description: \"not a CodeUri: at all\"
";

    #[test]
    fn only_the_place_of_the_code_changes() {
        let packaged = package(TEMPLATE, "s3://b/k.zip");
        assert_eq!(packaged, TEMPLATE.replace("CodeUri: .. # the workspace", "CodeUri: s3://b/k.zip"));
    }

    #[test]
    fn the_code_goes_to_the_places_that_cdk_names() {
        let place = json!({"Bucket": {"Fn::Sub": "cdk-assets-${AWS::AccountId}-${AWS::Region}"}, "Key": "abc.zip"});
        let send = json!({"Type": "AWS::Serverless::Function", "Properties": {"CodeUri": place}});
        let template = json!({"Resources": {"Send": send, "Queue": {"Type": "AWS::SQS::Queue"}}});
        let made = made_by_cdk(&template.to_string()).unwrap();
        let expected = BTreeSet::from([("cdk-assets-000000000001-us-east-1".to_owned(), "abc.zip".to_owned())]);
        assert_eq!(assets(&made, "000000000001").unwrap(), expected);
        let local = json!({"Resources": {"Send": {"Type": "AWS::Serverless::Function", "Properties": {"CodeUri": "../functions/send"}}}});
        assert!(assets(&local, "000000000001").unwrap_err().to_string().starts_with("Send has no place"));
        assert!(made_by_cdk(TEMPLATE).is_none());
    }

    #[test]
    fn the_bootstrap_becomes_the_program() {
        let bytes = bundle(Path::new("/a/it's/local")).unwrap();
        let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
        let script = std::io::read_to_string(archive.by_name("bootstrap").unwrap()).unwrap();
        assert_eq!(script, "#!/bin/sh\nexport AWS_EXECUTION_ENV=\"$AWS_LAMBDA_FUNCTION_NAME\"\nexec '/a/it'\\''s/local'\n");
    }
}
