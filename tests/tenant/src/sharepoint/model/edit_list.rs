//! Changes of lists and webs themselves: columns, content types, views, settings.

use super::edit::check_name;
use super::{
    ChangeKind, ChangeSubject, ContentType, EditError, Field, FieldKind, Guid, List, Template, View, World,
};
use crate::clock::UnixMillis;

impl World {
    /// Creates a list whose address is made from its title.
    pub(crate) fn add_list(
        &mut self,
        web: &Guid,
        title: &str,
        template: Template,
        now: UnixMillis,
    ) -> Result<Guid, EditError> {
        let leaf = title.replace(['/', '\\', '#', '%'], "");
        self.add_list_at(web, title, &leaf, template, now)
    }

    /// Creates a list at a given address below its web (below `Lists/` unless it is a library).
    pub(crate) fn add_list_at(
        &mut self,
        web: &Guid,
        title: &str,
        leaf: &str,
        template: Template,
        now: UnixMillis,
    ) -> Result<Guid, EditError> {
        check_name(leaf)?;
        let web = self.webs.get(web).ok_or(EditError::NotFound)?.clone();
        let root = web.join(&if template.is_library() { leaf.to_string() } else { format!("Lists/{leaf}") });
        let taken = |list: &List| {
            list.web == web.id
                && (list.title.eq_ignore_ascii_case(title) || list.root.eq_ignore_ascii_case(&root))
        };
        if self.lists.values().any(taken) {
            return Err(EditError::TitleTaken);
        }
        let ids = (self.new_guid(), self.new_guid());
        let mut list = List::new(ids, web.id.clone(), title, template, root, now);
        list.fields = self.base_fields(template);
        list.views = vec![self.base_view(template)];
        let id = list.id.clone();
        self.lists.insert(id.clone(), list);
        self.note_in(&web.id, ChangeKind::Add, ChangeSubject::List(id.clone()), now);
        Ok(id)
    }

    pub(crate) fn delete_list(&mut self, id: &Guid, now: UnixMillis) -> Result<(), EditError> {
        let list = self.lists.remove(id).ok_or(EditError::NotFound)?;
        for item in list.items.values() {
            self.unique.remove(&item.unique_id);
        }
        self.note_in(&list.web, ChangeKind::Delete, ChangeSubject::List(id.clone()), now);
        Ok(())
    }

    /// Logs that a list's own properties changed.
    pub(crate) fn note_list(&mut self, id: &Guid, now: UnixMillis) {
        if let Some(web) = self.lists.get(id).map(|list| list.web.clone()) {
            self.note_in(&web, ChangeKind::Update, ChangeSubject::List(id.clone()), now);
        }
    }

    pub(crate) fn add_field(
        &mut self,
        list: &Guid,
        name: &str,
        kind: FieldKind,
        now: UnixMillis,
    ) -> Result<Guid, EditError> {
        let id = self.new_guid();
        let list = self.lists.get_mut(list).ok_or(EditError::NotFound)?;
        list.modified = list.modified.max(now);
        if list.field(name).is_some() {
            return Err(EditError::NameTaken);
        }
        let (web, list_id) = (list.web.clone(), list.id.clone());
        list.fields.push(Field {
            id: id.clone(),
            name: name.to_string(),
            title: name.to_string(),
            kind,
            hidden: false,
            read_only: false,
            base: false,
        });
        self.note_in(&web, ChangeKind::Add, ChangeSubject::Field { list: list_id, field: id.clone() }, now);
        Ok(id)
    }

    /// Adds a content type of these columns.
    pub(crate) fn add_content_type(
        &mut self,
        list: &Guid,
        name: &str,
        fields: &[&str],
        now: UnixMillis,
    ) -> Result<(), EditError> {
        let random = self.new_guid().as_str().replace('-', "").to_uppercase();
        let list = self.lists.get_mut(list).ok_or(EditError::NotFound)?;
        if list.content_types.iter().any(|one| one.name == name) {
            return Err(EditError::NameTaken);
        }
        let stem = if list.is_library() { "0x0101" } else { "0x01" };
        let made = ContentType {
            stem: format!("{stem}00{random}"),
            name: name.to_string(),
            fields: fields.iter().map(|field| (*field).to_string()).collect(),
        };
        let subject = ChangeSubject::ContentType { list: list.id.clone(), id: made.stem.clone() };
        list.content_types.push(made);
        let web = list.web.clone();
        self.note_in(&web, ChangeKind::Add, subject, now);
        Ok(())
    }

    /// Adds a view of these columns.
    pub(crate) fn add_view(
        &mut self,
        list: &Guid,
        title: &str,
        fields: &[&str],
        now: UnixMillis,
    ) -> Result<(), EditError> {
        let id = self.new_guid();
        let list = self.lists.get_mut(list).ok_or(EditError::NotFound)?;
        if list.views.iter().any(|view| view.title.eq_ignore_ascii_case(title)) {
            return Err(EditError::NameTaken);
        }
        list.views.push(View {
            id: id.clone(),
            title: title.to_string(),
            default: false,
            query: "<OrderBy><FieldRef Name=\"Modified\" Ascending=\"FALSE\" /></OrderBy>".to_string(),
            fields: fields.iter().map(|field| (*field).to_string()).collect(),
        });
        let (web, subject) = (list.web.clone(), ChangeSubject::View { list: list.id.clone(), view: id });
        self.note_in(&web, ChangeKind::Add, subject, now);
        Ok(())
    }

    /// Changes a web's title and description.
    pub(crate) fn describe_web(&mut self, id: &Guid, title: &str, description: &str, now: UnixMillis) {
        if let Some(web) = self.webs.get_mut(id) {
            (web.title, web.description) = (title.to_string(), description.to_string());
            self.note_in(id, ChangeKind::Update, ChangeSubject::Web(id.clone()), now);
        }
    }

    fn base_view(&mut self, template: Template) -> View {
        let library = template.is_library();
        let fields: &[&str] =
            if library { &["DocIcon", "LinkFilename", "Modified", "Editor"] } else { &["LinkTitle"] };
        View {
            id: self.new_guid(),
            title: if library { "All Documents" } else { "All Items" }.to_string(),
            default: true,
            query: "<OrderBy><FieldRef Name=\"FileLeafRef\" /></OrderBy>".to_string(),
            fields: fields.iter().map(|field| (*field).to_string()).collect(),
        }
    }

    fn base_fields(&mut self, template: Template) -> Vec<Field> {
        let mut columns = vec![
            ("ContentTypeId", "Content Type ID", FieldKind::ContentType, true),
            ("Title", "Title", FieldKind::Text, false),
            ("ID", "ID", FieldKind::Counter, true),
            ("Modified", "Modified", FieldKind::DateTime, true),
            ("Created", "Created", FieldKind::DateTime, true),
            ("Author", "Created By", FieldKind::User, true),
            ("Editor", "Modified By", FieldKind::User, true),
            ("_UIVersionString", "Version", FieldKind::Text, true),
            ("FileRef", "URL Path", FieldKind::Computed, true),
        ];
        if template.is_library() {
            columns.push(("FileLeafRef", "Name", FieldKind::File, false));
        } else {
            columns.push(("Attachments", "Attachments", FieldKind::Attachments, false));
        }
        let field = |(name, title, kind, read_only): (&str, &str, FieldKind, bool)| Field {
            id: Guid::new(&mut self.rng),
            name: name.to_string(),
            title: title.to_string(),
            kind,
            hidden: name == "ContentTypeId",
            read_only,
            base: true,
        };
        columns.into_iter().map(field).collect()
    }
}
