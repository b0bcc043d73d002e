//! Reports: that they are what the histories tell, and what they cost.

use std::collections::BTreeMap;

use domain::report::{Counted, Dimension, Measure, Metric, Quarter, ServiceLevel, Tally, facts, rollup};
use engine::jobs::{ReportJob, RollupJob};
use engine::ports::Reports;
use engine::reports;
use futures_util::{StreamExt, stream};
use store::Derived;

use super::*;

impl Desk {
    fn derived(&self) -> Derived {
        Derived::from_env(&self.deployment.aws, &self.deployment.env).unwrap()
    }

    /// Carries out what `dispatch` sends to `report` for each version of an interaction, the latest first and twice,
    /// and adds up.
    async fn count(&self, path: &str) -> Vec<Counted> {
        let (store, derived) = (&self.deployment.store, self.derived());
        let key = self.deployment.engine.locate(&path.rsplit('/').next().unwrap().parse().unwrap()).await.unwrap();
        let version = store.interaction(&key).await.unwrap().unwrap().version;
        for version in (1..=version).rev().chain(1..=version) {
            let job = ReportJob::Count { interaction: key.clone(), version, at: None };
            reports::carry_out(store, &derived, &job).await.unwrap();
        }
        let counted = facts(&store.history(&key).await.unwrap());
        for facts in counted.values() {
            let job = RollupJob { account: self.account.id.clone(), quarter: facts.quarter };
            reports::roll_up(&derived, &job.account, job.quarter).await.unwrap();
        }
        counted.into_values().flat_map(|facts| facts.counted).collect()
    }
}

/// The day before yesterday and the day after tomorrow: whatever happened now is between them in every zone.
fn around_now() -> String {
    let day = |hours| (Timestamp::now() + SignedDuration::from_hours(hours)).strftime("%Y-%m-%d").to_string();
    format!("from={}&to={}", day(-48), day(48))
}

#[tokio::test]
async fn a_report_is_what_the_histories_tell_in_any_zone_and_outlives_nobodys_name() {
    let desk = Desk::open("REPOR", 5).await;
    let (one, two) = (desk.accepted(1).await, desk.ring(2).await);
    assert_eq!(desk.anna().post(&format!("{one}/messages"), json!({"text": "hello"})).await.0, 201);
    assert_eq!(desk.ben().post(&format!("{two}/reject"), json!({})).await.0, 200);
    assert_eq!(desk.anna().post(&format!("{one}/close"), json!({"disposition": "=Sold"})).await.0, 200);
    let mut counted = desk.count(&one).await;
    counted.extend(desk.count(&two).await);
    let expected = rollup(&desk.account.id, &counted);
    let sue = desk.over("sue", "supervisor");
    for (by, dimension) in
        [("account", Dimension::Account), ("queue", Dimension::Queue), ("agent", Dimension::Agent), ("disposition", Dimension::Disposition)]
    {
        let (status, report) = sue.get(&format!("/reports?{}&by={by}&zone=Asia/Kathmandu&period=hour", around_now())).await;
        assert_eq!(status, 200, "{report}");
        let metrics: Vec<Metric> = serde_json::from_value(report["metrics"].clone()).unwrap();
        let rows: BTreeMap<String, Value> =
            report["rows"].as_array().unwrap().iter().map(|row| (row["id"].as_str().unwrap().to_owned(), row["total"].clone())).collect();
        let own: BTreeMap<&String, &Tally> =
            expected.iter().filter(|((of, _), _)| *of == dimension).map(|((_, id), tally)| (id, tally)).collect();
        assert_eq!(rows.keys().collect::<Vec<_>>(), own.keys().copied().collect::<Vec<_>>(), "{by}");
        for (id, tally) in own {
            for (place, metric) in metrics.iter().enumerate() {
                let value = match metric.of(&tally.clone().judged(ServiceLevel::default())) {
                    domain::report::Cell::Count(count) => json!(count),
                    domain::report::Cell::Number(number) => json!(number),
                    domain::report::Cell::Nothing => Value::Null,
                };
                assert_eq!(rows[id][place], value, "{by} {id} {metric:?}");
            }
        }
    }
    // What everybody sees of it.
    let (_, report) = sue.get(&format!("/reports?{}&by=agent&metrics=offered,accepted,rejected&period=whole", around_now())).await;
    let seen: Vec<Value> = report["rows"].as_array().unwrap().iter().map(|row| json!([row["name"], row["total"]])).collect();
    assert_eq!(json!(seen), json!([["anna", [2, 1, 0]], ["ben", [2, 0, 1]]]), "{report}");
    assert!(report["rows"][0].get("periods").is_none());
    assert_eq!(report["total"], json!([4, 1, 1]));
}

#[tokio::test]
async fn a_report_as_csv_has_no_formula_and_a_bad_period_is_named() {
    let desk = Desk::open("REPCS", 5).await;
    let path = desk.accepted(1).await;
    assert_eq!(desk.anna().post(&format!("{path}/close"), json!({"disposition": "=Sold"})).await.0, 200);
    desk.count(&path).await;
    let sue = desk.over("sue", "supervisor");
    let uri = format!("{}/reports?{}&by=disposition&metrics=closed&period=whole&format=csv", sue.base, around_now());
    let request = Request::builder().uri(uri).header("authorization", format!("Bearer {}", sue.token)).body(Body::empty()).unwrap();
    let answer = sue.router.clone().oneshot(request).await.unwrap();
    assert_eq!((answer.status().as_u16(), &answer.headers()["content-type"]), (200, &"text/csv; charset=utf-8".parse().unwrap()));
    let body = String::from_utf8(to_bytes(answer.into_body(), usize::MAX).await.unwrap().to_vec()).unwrap();
    let lines: Vec<&str> = body.split("\r\n").collect();
    assert_eq!(lines[0], "\u{feff}id,name,from,to,closed");
    assert!(lines[1].starts_with("'=Sold,'=Sold,20") && lines[1].ends_with(",1"), "{body}");
    let (status, problem) = sue.get("/reports?from=2026-03-29T02:30&to=2026-03-30&zone=Europe/Rome").await;
    assert_eq!(
        (status, &problem["errors"]),
        (422, &json!([{"field": "from", "code": "unknown-value", "message": "does not exist in this time zone"}])),
        "{problem}"
    );
    assert_eq!(desk.over("anna", "agent").get(&format!("/reports?{}", around_now())).await.0, 403);
}

/// A month of fifty agents who work eight hours a day is 6 MB or so. A query reads a megabyte.
#[tokio::test]
async fn a_month_by_fifty_agents_costs_a_handful_of_queries() {
    let desk = Desk::open("MONTH", 5).await;
    let derived = desk.derived();
    let first = Quarter::of("2026-10-01T07:00:00Z".parse().unwrap());
    let mut tally = Tally::default();
    for (place, measure) in
        [Measure::Offered, Measure::Accepted, Measure::Handled, Measure::Active, Measure::FirstResponse, Measure::Closed]
            .into_iter()
            .enumerate()
    {
        for value in 1..=3 {
            tally.add(&Counted::of(measure, value * 50_000 * (place as u64 + 1)));
        }
    }
    let agents: Vec<String> = (0..50).map(|number| AgentId::from_ulid(ulid::Ulid(number)).to_string()).collect();
    // One quarter-hour of each day is enough to count with.
    let puts = agents.iter().flat_map(|agent| (0..31).map(move |day| (agent, Quarter(first.0 + day * 96))));
    let (account, tally) = (&desk.account.id, &tally);
    let puts = puts.map(|(agent, quarter)| derived.put_tally(account, quarter, (Dimension::Agent, agent.as_str()), tally));
    stream::iter(puts).buffer_unordered(16).for_each(|put| async move { put.unwrap() }).await;
    let sue = desk.over("sue", "supervisor");
    let path = "/reports?from=2026-10-01&to=2026-10-31&by=agent&period=day&metrics=handled,handling_time&zone=Europe/Rome";
    assert_eq!(sue.get(path).await.0, 200);
    desk.deployment.proxy.calls();
    let (status, report) = sue.get(path).await;
    let calls = desk.deployment.proxy.calls();
    assert_eq!((status, &report["total"]), (200, &json!([50 * 31 * 3, 300.0])), "{calls:?}");
    let rows = report["rows"].as_array().unwrap();
    assert!(rows.len() == 50 && rows.iter().all(|row| row["periods"].as_array().unwrap().len() == 31));
    // Two months of UTC begin or end within it, since Rome's October begins in September; and the deleted accounts.
    let queries = calls.iter().filter(|call| call.ends_with(".Query")).count();
    assert!((2..=4).contains(&queries), "{calls:?}");
    // With all 32 quarter-hours of its days it would be so many more, one for each megabyte.
    let day: usize = 32 * (serde_json::to_string(tally).unwrap().len() + 12) + 100;
    assert!(50 * 31 * day < 9 * 1024 * 1024, "{day} bytes a day");
}

/// A job that was late must not undo a later one.
#[tokio::test]
async fn a_tally_is_replaced_only_by_one_that_counts_no_fewer() {
    let desk = Desk::open("FEWER", 5).await;
    let (derived, account) = (desk.derived(), &desk.account.id);
    let quarter = Quarter::of("2026-10-01T07:00:00Z".parse().unwrap());
    let of = |values: &[u64]| {
        let mut tally = Tally::default();
        values.iter().for_each(|value| tally.add(&Counted::of(Measure::Answered, *value)));
        tally
    };
    let (early, late) = (of(&[20_000]), of(&[20_000, 30_000]));
    for tally in [&early, &late, &early, &late] {
        derived.put_tally(account, quarter, (Dimension::Queue, "que_1"), tally).await.unwrap();
        derived.put_tally(account, Quarter(quarter.0 + 1), (Dimension::Queue, "que_1"), &early).await.unwrap();
    }
    let span = |from: i64, to: i64| Quarter(quarter.0 + from)..Quarter(quarter.0 + to);
    let found = derived.tallies(account, Dimension::Queue, span(0, 1)).await.unwrap();
    assert_eq!(found, [("que_1".to_owned(), quarter, late.clone())]);
    assert_eq!(derived.tallies(account, Dimension::Queue, span(-3_000, 3_000)).await.unwrap().len(), 2);
    assert!(derived.tallies(account, Dimension::Agent, span(0, 1)).await.unwrap().is_empty());
}
