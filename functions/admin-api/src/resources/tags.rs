//! Tags that agents choose from.

use domain::agent::Role;
use domain::catalog::KnownTag;
use domain::ids::TagId;
use domain::screens::Screens;
use domain::tag::Tag;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::app::App;
use crate::error::ApiError;
use crate::input::{Errors, parsed, whole};
use crate::resource::Resource;
use crate::shells::shells;

/// A tag for agents to choose.
#[derive(Debug, PartialEq, ToSchema)]
pub(crate) struct TagInput {
    /// 1 to 32 characters on one line. Tags are unique.
    tag: Tag,
}

/// A tag for agents to choose.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Tag)]
pub(crate) struct TagView {
    /// The tag's id.
    id: TagId,
    /// The tag.
    tag: Tag,
    /// Increases with every change. The `ETag` has the same value.
    version: u64,
}

impl Resource for KnownTag {
    type Id = TagId;
    type Input = TagInput;
    type View = TagView;
    const PLACE: &'static str = "tags";
    const READERS: Role = Role::Supervisor;
    const WRITERS: Role = Role::Supervisor;

    fn parse(body: Value, shown: Option<&Value>) -> Result<TagInput, Errors> {
        let tag = |text: &str| Tag::parse(text).map_err(|invalid| invalid.0);
        whole(body, shown, |fields| Some(TagInput { tag: fields.required("tag", parsed(tag))? }))
    }

    fn make(id: TagId, input: &mut TagInput, _: Option<&Self>) -> Result<Self, ApiError> {
        Ok(Self { id, tag: input.tag.clone() })
    }

    fn view(self, version: u64, _: &App) -> TagView {
        TagView { id: self.id, tag: self.tag, version }
    }

    fn screens(before: Option<&Self>, after: Option<&Self>) -> Option<Screens> {
        Screens::of_choice(before, after)
    }
}

shells! {
    KnownTag: TagInput => TagView, "tags", "/tags", "/tags/{id}";

    /// Lists the tags.
    ///
    /// If there are none, agents may write any tag.
    list list_tags;

    /// Creates a tag.
    ///
    /// Tags are unique, so a repeated POST is refused (422).
    create create_tag;

    /// Returns a tag.
    get get_tag;

    /// Replaces a tag.
    ///
    /// Interactions that have it keep its old text.
    put put_tag;

    /// Changes fields of a tag.
    ///
    /// Interactions that have it keep its old text.
    patch patch_tag;

    /// Deletes a tag.
    ///
    /// Interactions that have it keep it.
    delete delete_tag;
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::input::testing::names;

    #[test]
    fn a_tag_is_valid_for_interactions() {
        assert_eq!(KnownTag::parse(json!({"tag": "vip"}), None).unwrap().tag.as_str(), "vip");
        for bad in [json!(null), json!(" "), json!("x".repeat(33)), json!("a\nb"), json!(7)] {
            assert_eq!(names(KnownTag::parse(json!({"tag": bad}), None)), ["tag"]);
        }
    }
}
