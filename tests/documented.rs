//! Runs the commands of `docs/api.md`, which promises that they work one after the other, exactly as written.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;

use super::*;

/// The commands after this line need a customer's message. The customer sends it with the `curl` command that `cargo
/// local` prints.
const CUSTOMER: &str = "let the customer write";

/// Reports the script line and the status of every request, and leaves the response alone.
const WATCH: &str =
    r#"curl() { command curl "$@" --no-progress-meter --write-out "%{stderr}${BASH_LINENO[*]} %{http_code}\n" 2>> "$STATUSES"; }"#;

/// The document's commands as one script, line by line. The customer writes where the document says so.
fn script(document: &str, customer: &str) -> Vec<String> {
    let mut lines = vec![WATCH.to_owned()];
    let mut inside = false;
    let mut waits = false;
    for line in document.lines() {
        match line {
            "```sh" => {
                inside = true;
                if std::mem::take(&mut waits) {
                    lines.extend(customer.lines().map(str::to_owned));
                    // A person would take longer for the next command than the offer rings.
                    lines.push(r#"until agent "$API/interactions" | at offers.0.id > /dev/null 2>&1; do sleep 0.1; done"#.to_owned());
                }
            }
            "```" => inside = false,
            line if inside => lines.push(line.to_owned()),
            line => waits |= line.contains(CUSTOMER),
        }
    }
    lines
}

/// The statuses that a line's comment names. If the comment starts with a status, exactly that one is expected.
fn named(line: &str) -> Vec<u16> {
    let Some((_, comment)) = line.rsplit_once(" # ") else { return Vec::new() };
    let words = comment.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| word.len() == 3);
    words.filter_map(|word| word.parse().ok()).filter(|status| (400..600).contains(status)).collect()
}

/// The statuses of the requests by script line, counted from 1.
fn statuses(path: &Path) -> BTreeMap<usize, Vec<u16>> {
    let mut statuses: BTreeMap<usize, Vec<u16>> = BTreeMap::new();
    for told in std::fs::read_to_string(path).unwrap().lines() {
        // The innermost line comes first, and a 0 for the shell itself precedes the status.
        let numbers: Vec<usize> = told.split(' ').map(|number| number.parse().unwrap_or_else(|_| panic!("curl said: {told}"))).collect();
        let [.., line, 0, status] = numbers[..] else { panic!("{told}") };
        statuses.entry(line).or_default().push(u16::try_from(status).unwrap());
    }
    statuses
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_of_the_api_document_run_as_they_stand() {
    let world = World::start(23).await;
    let document = std::fs::read_to_string(local::workspace().join("docs/api.md")).unwrap();
    let customer = world.account().customer.written("Is anybody there?").unwrap().curl();
    let lines = script(&document, &customer);
    assert!(lines.len() > 60, "the document's commands were not found");

    // A folder replaces the one in the checkout, because another run may be using that.
    let folder = local::private_folder().join("tmp").join(format!("documented-{}", std::process::id()));
    std::fs::create_dir_all(folder.join(".local")).unwrap();
    let endpoints = local::cli::endpoints(world.engine, &world.stack, &world.standin, &world.demo).unwrap();
    std::fs::write(folder.join(".local/endpoints.json"), endpoints.to_string()).unwrap();
    std::fs::write(folder.join("commands.sh"), lines.join("\n")).unwrap();
    let mut bash = tokio::process::Command::new("bash");
    bash.args(["-euo", "pipefail", "commands.sh"]).current_dir(&folder).env("STATUSES", folder.join("statuses")).stdin(Stdio::null());
    let ran = tokio::time::timeout(8 * PATIENCE, bash.kill_on_drop(true).output()).await.expect("the commands end").unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{said}");

    let statuses = statuses(&folder.join("statuses"));
    for (number, statuses) in &statuses {
        let line = &lines[number - 1];
        let named = named(line);
        let expected = |status: &u16| (200..300).contains(status) || named.contains(status);
        assert!(statuses.iter().all(expected), "{statuses:?}: {line}\n{said}");
        let comment = line.rsplit_once(" # ").map(|(_, comment)| comment).unwrap_or_default();
        if let Some(wanted) = named.first().filter(|wanted| comment.starts_with(&wanted.to_string())) {
            assert!(statuses.contains(wanted), "{statuses:?}: {line}\n{said}");
        }
    }
    // Every command made a request, so the document was run to its end.
    assert!(statuses.len() > 40, "{statuses:?}");
    std::fs::remove_dir_all(&folder).unwrap();
}
