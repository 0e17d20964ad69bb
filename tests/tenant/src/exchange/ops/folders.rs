//! Folders: getting, finding, creating, changing, moving and deleting them.

use super::{Context, list};
use crate::exchange::access::{FolderPlace, folder_not_found, not_for_public};
use crate::exchange::answer::{Failure, Outcome, response};
use crate::exchange::render;
use crate::exchange::shape::{Path, Shape};
use crate::exchange::world::{Folder, Mailbox, PropertyValue};
use crate::exchange::xml::Element;

/// `GetFolder`.
pub(super) fn get(context: &mut Context<'_>, request: &Element) -> Element {
    let shape = Shape::read(request.child("FolderShape"));
    response(
        "GetFolder",
        list(request, "FolderIds").iter().map(|id| {
            let shape = shape.clone()?;
            let place = context.caller.folder(context.world, context.shared, id)?;
            let (mailbox, folder) = find_folder(context, place)?;
            Ok(vec![Element::messages("Folders").with_child(render::folder(mailbox, folder, &shape))])
        }),
    )
}

/// `FindFolder`.
pub(super) fn find(context: &mut Context<'_>, request: &Element) -> Element {
    response(
        "FindFolder",
        list(request, "ParentFolderIds").iter().map(|id| {
            let shape = Shape::read(request.child("FolderShape"))?;
            let place = context.caller.folder(context.world, context.shared, id)?;
            let (mailbox, parent) = find_folder(context, place)?;
            let folders: Vec<&Folder> = match request.attribute("Traversal") {
                Some("Deep") if mailbox.is_public() => return Err(not_for_public()),
                Some("Deep") => mailbox.descendants(parent.number),
                Some("Shallow") => mailbox.children(parent.number).collect(),
                _ => Vec::new(),
            };
            let page = Page::read(request.child("IndexedPageFolderView"), folders.len())?;
            let shown = folders.iter().skip(page.offset).take(page.count).map(|folder| {
                let mut element = render::folder(mailbox, folder, &shape);
                element.children.iter_mut().for_each(render::cut);
                element
            });
            let folders = Element::types("Folders").with_children(shown);
            Ok(vec![page.describe(Element::messages("RootFolder")).with_child(folders)])
        }),
    )
}

/// A page of a listing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page {
    pub(super) offset: usize,
    pub(super) count: usize,
    total: usize,
}

impl Page {
    /// Reads an `IndexedPageFolderView` or `IndexedPageItemView`; without one, everything is one page.
    pub(super) fn read(view: Option<&Element>, total: usize) -> Result<Self, Failure> {
        let Some(view) = view else { return Ok(Self { offset: 0, count: total, total }) };
        let number = |name: &str| view.attribute(name).map(str::parse::<usize>);
        let invalid =
            || Failure::new("ErrorInvalidIndexedPagingParameters", "Indexed paging parameters are invalid.");
        let count = number("MaxEntriesReturned").transpose().map_err(|_| invalid())?.unwrap_or(PAGE_MAX);
        let offset = number("Offset").transpose().map_err(|_| invalid())?.ok_or_else(invalid)?;
        if count == 0 {
            return Err(Failure::new(
                "ErrorInvalidPagingMaxRows",
                "MaxEntriesReturned must be greater than zero.",
            ));
        }
        if view.attribute("BasePoint") == Some("End") {
            return Err(Failure::new(
                "ErrorInvalidOperation",
                "Paging from the end is not supported by this server.",
            ));
        }
        Ok(Self { offset: offset.min(total), count: count.min(PAGE_MAX), total })
    }

    /// Adds the attributes that tell the page.
    pub(super) fn describe(&self, root: Element) -> Element {
        let next = (self.offset + self.count).min(self.total);
        root.with_attribute("IndexedPagingOffset", next.to_string())
            .with_attribute("TotalItemsInView", self.total.to_string())
            .with_attribute("IncludesLastItemInRange", (next == self.total).to_string())
    }
}

/// Rows of a listing page, by policy.
const PAGE_MAX: usize = 1000;

/// `CreateFolder`.
pub(super) fn create(context: &mut Context<'_>, request: &Element) -> Element {
    response(
        "CreateFolder",
        list(request, "Folders").iter().map(|folder| {
            let parent = request
                .child("ParentFolderId")
                .and_then(|parent| parent.children.first())
                .ok_or_else(folder_not_found)?;
            let place = context.caller.folder(context.world, context.shared, parent)?;
            let name = folder.child_text("DisplayName").filter(|name| !name.is_empty()).map(str::to_owned);
            let name =
                name.ok_or_else(|| Failure::new("ErrorFolderSaveFailed", "The folder name is missing."))?;
            let class = class_of(folder)?;
            let mailbox = context.world.mailbox_of_mut(place.mailbox).ok_or_else(folder_not_found)?;
            let number = mailbox.add_folder(Some(place.folder), &name, &class, None)?;
            bare(context, FolderPlace { folder: number, ..place })
        }),
    )
}

/// The class of a new folder: named by a plain `Folder`, implied by the typed elements.
fn class_of(folder: &Element) -> Result<String, Failure> {
    let named = folder.child_text("FolderClass").filter(|class| !class.is_empty());
    let implied = match folder.name.as_str() {
        "Folder" => return Ok(named.unwrap_or("IPF.Note").to_owned()),
        "CalendarFolder" => "IPF.Appointment",
        "ContactsFolder" => "IPF.Contact",
        "TasksFolder" => "IPF.Task",
        _ => return Err(Failure::new("ErrorInvalidOperation", "Folders of this type cannot be created.")),
    };
    match named {
        Some(class) if class != implied => Err(Failure::new(
            "ErrorNoFolderClassOverride",
            "The folder class cannot be specified for this type of folder.",
        )),
        _ => Ok(implied.to_owned()),
    }
}

/// `UpdateFolder`.
pub(super) fn update(context: &mut Context<'_>, request: &Element) -> Element {
    response(
        "UpdateFolder",
        list(request, "FolderChanges").iter().map(|change| {
            let id = change.children.first().ok_or_else(folder_not_found)?;
            let place = context.caller.folder(context.world, context.shared, id)?;
            let mut folder = find_folder(context, place)?.1.clone();
            for update in list(change, "Updates") {
                apply(&mut folder, update)?;
            }
            let mailbox = context.world.mailbox_of_mut(place.mailbox).ok_or_else(folder_not_found)?;
            mailbox.update_folder(place.folder, |stored| *stored = folder)?;
            bare(context, place)
        }),
    )
}

fn apply(folder: &mut Folder, update: &Element) -> Result<(), Failure> {
    let unset = update.name == "DeleteFolderField";
    let value = update.children.iter().find(|child| child.name.ends_with("Folder"));
    match Path::read_in(update)? {
        Path::Extended(field) if unset => {
            folder.extended.remove(&field.key);
        }
        Path::Extended(field) => {
            let values =
                value.and_then(|value| value.child("ExtendedProperty")).map(values_of).unwrap_or_default();
            folder.extended.insert(field.key, PropertyValue { kind: field.kind, values });
        }
        Path::Field(field) if field.element == "DisplayName" && !unset => {
            if folder.distinguished.is_some_and(|id| id == "msgfolderroot" || id == "root") {
                return Err(Failure::new(
                    "ErrorAccessDenied",
                    "Access is denied. Check credentials and try again.",
                ));
            }
            let name = value.and_then(|value| value.child_text("DisplayName")).unwrap_or_default();
            name.clone_into(&mut folder.name);
        }
        Path::Field(field) if field.element == "FolderClass" => {
            return Err(Failure::new("ErrorObjectTypeChanged", "The folder class cannot be changed."));
        }
        // Permissions are accepted and not kept: nothing here depends on them.
        Path::Field(field) if field.element == "PermissionSet" => {}
        Path::Field(_) | Path::Indexed { .. } => {
            return Err(Failure::new("ErrorInvalidPropertySet", "The property cannot be set on folders."));
        }
    }
    Ok(())
}

/// The values of an `ExtendedProperty`.
pub(super) fn values_of(property: &Element) -> Vec<String> {
    let many = property
        .child("Values")
        .map(|values| values.children.iter().map(|value| value.text.clone()).collect());
    many.unwrap_or_else(|| property.child("Value").map(|value| value.text.clone()).into_iter().collect())
}

/// `MoveFolder`.
pub(super) fn relocate(context: &mut Context<'_>, request: &Element) -> Element {
    response(
        "MoveFolder",
        list(request, "FolderIds").iter().map(|id| {
            let to = request
                .child("ToFolderId")
                .and_then(|to| to.children.first())
                .ok_or_else(folder_not_found)?;
            let to = context.caller.folder(context.world, context.shared, to)?;
            let from = context.caller.folder(context.world, context.shared, id)?;
            if to.mailbox != from.mailbox {
                return Err(Failure::new(
                    "ErrorMoveCopyFailed",
                    "Folders cannot be moved between mailboxes.",
                ));
            }
            if find_folder(context, from)?.1.distinguished.is_some() {
                return Err(Failure::new(
                    "ErrorMoveDistinguishedFolder",
                    "Distinguished folders cannot be moved.",
                ));
            }
            let mailbox = context.world.mailbox_of_mut(from.mailbox).ok_or_else(folder_not_found)?;
            mailbox.move_folder(from.folder, to.folder)?;
            bare(context, from)
        }),
    )
}

/// `DeleteFolder`.
pub(super) fn delete(context: &mut Context<'_>, request: &Element) -> Element {
    response(
        "DeleteFolder",
        list(request, "FolderIds").iter().map(|id| {
            let place = context.caller.folder(context.world, context.shared, id)?;
            let to_bin = request.attribute("DeleteType") == Some("MoveToDeletedItems");
            let mailbox = context.world.mailbox_of_mut(place.mailbox).ok_or_else(folder_not_found)?;
            if to_bin && mailbox.folder(place.folder).is_some_and(|folder| folder.distinguished.is_none()) {
                let bin = mailbox.well_known("deleteditems");
                mailbox.move_folder(place.folder, bin)?;
            } else {
                mailbox.remove_folder(place.folder)?;
            }
            Ok(Vec::new())
        }),
    )
}

/// The folder at a place that was found before.
pub(super) fn find_folder<'c>(
    context: &'c Context<'_>,
    place: FolderPlace,
) -> Result<(&'c Mailbox, &'c Folder), Failure> {
    let mailbox = context.world.mailbox_of(place.mailbox).ok_or_else(folder_not_found)?;
    let folder = mailbox.folder(place.folder).ok_or_else(folder_not_found)?;
    Ok((mailbox, folder))
}

fn bare(context: &Context<'_>, place: FolderPlace) -> Outcome {
    let (mailbox, folder) = find_folder(context, place)?;
    let element = Element::types(folder.element()).with_child(render::folder_id(mailbox, folder, "FolderId"));
    Ok(vec![Element::messages("Folders").with_child(element)])
}
