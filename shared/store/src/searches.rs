//! Searches that people keep by name. All are one partition: a few dozen for each supervisor, read by people.

use domain::search::SavedSearch;

use crate::codec::{PortResult, data_item, failed, from_data, key_item, s, text};
use crate::interactions::Interactions;
use crate::keys;
use crate::table::Put;
use crate::transaction::Expression;

impl Interactions {
    /// A page of the searches that `reader` sees, the own ones and those that are shared, from behind the place
    /// `after` on; and the place after which the next page begins.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn saved_searches(&self, reader: &str, after: Option<&str>, most: usize) -> PortResult<(Vec<SavedSearch>, Option<String>)> {
        let mut found: Vec<(String, SavedSearch)> = Vec::new();
        let mut from = after.map(|place| key_item(keys::saved_search_at(place)));
        loop {
            let query = self.table.query().limit(i32::try_from(most).unwrap_or(i32::MAX)).key_condition_expression("pk = :pk");
            let query = query
                .filter_expression("#data.#owner = :reader OR #data.#shared = :shared")
                .expression_attribute_names("#data", "data")
                .expression_attribute_names("#owner", "owner")
                .expression_attribute_names("#shared", "shared")
                .expression_attribute_values(":pk", s(keys::SEARCHES))
                .expression_attribute_values(":reader", s(reader))
                .expression_attribute_values(":shared", aws_sdk_dynamodb::types::AttributeValue::Bool(true));
            let answer = query.set_exclusive_start_key(from).send().await.map_err(failed("Query"))?;
            for item in answer.items.unwrap_or_default() {
                found.push((text(&item, "sk").unwrap_or_default().to_owned(), from_data(&item)?));
            }
            from = answer.last_evaluated_key;
            if found.len() >= most || from.is_none() {
                let more = found.len() > most || from.is_some();
                found.truncate(most);
                let next = found.last().filter(|_| more).map(|(place, _)| place.clone());
                return Ok((found.into_iter().map(|(_, saved)| saved).collect(), next));
            }
        }
    }

    /// How many searches somebody keeps.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn count_saved_searches(&self, owner: &str) -> PortResult<usize> {
        Ok(self.table.all(keys::SEARCHES.to_owned(), &keys::saved_searches_of(owner)).await?.len())
    }

    /// A search by its owner and the key of its name ([`SavedSearch::key_of`]).
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn saved_search(&self, owner: &str, key: &str) -> PortResult<Option<SavedSearch>> {
        self.table.get(keys::saved_search(owner, key)).await?.as_ref().map(from_data).transpose()
    }

    /// Writes a search. A new one if `is_new`, otherwise it replaces the one that is there. False if that is not so
    /// any more.
    ///
    /// # Errors
    /// The table can't be written.
    pub async fn save_search(&self, key: &str, saved: &SavedSearch, is_new: bool) -> PortResult<bool> {
        let item = data_item(keys::saved_search(&saved.owner, key), saved)?;
        let condition = if is_new { Expression::absent() } else { Expression::new("attribute_exists(pk)") };
        Ok(match self.table.put_if(item, condition).await? {
            Put::Done => true,
            // The client repeats a write whose answer it misses, and may meet itself.
            Put::Lost(there) => there.as_ref().is_some_and(|there| from_data::<SavedSearch>(there).is_ok_and(|there| there == *saved)),
            Put::Rival => false,
        })
    }

    /// Deletes a search. An absent one is a success.
    ///
    /// # Errors
    /// The table can't be written.
    pub async fn delete_saved_search(&self, owner: &str, key: &str) -> PortResult<()> {
        self.table.delete(keys::saved_search(owner, key)).await
    }
}
