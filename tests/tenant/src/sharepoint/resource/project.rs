//! `$select` and `$expand`: which properties of an entity go out.

use super::collection::list_nodes;
use super::node::Node;
use super::viewer::Viewer;
use super::{describe, step};
use crate::sharepoint::error::ApiError;
use crate::sharepoint::model::World;
use crate::sharepoint::odata::{Entity, Prop, QueryOptions, Segment};

/// Deepest `$expand`.
const DEPTH_MAX: usize = 6;

type Names = [Vec<String>];

/// The entity at `node` as the options want it; none if the node is a link to nothing.
pub(crate) fn project(
    world: &World,
    viewer: &Viewer,
    node: &Node,
    options: &QueryOptions,
) -> Result<Option<Entity>, ApiError> {
    project_at(world, viewer, node, &options.select, &options.expand, 0)
}

fn project_at(
    world: &World,
    viewer: &Viewer,
    node: &Node,
    select: &Names,
    expand: &Names,
    depth: usize,
) -> Result<Option<Entity>, ApiError> {
    let Some(mut entity) = describe(world, viewer, node)? else { return Ok(None) };
    if depth == DEPTH_MAX {
        return Err(ApiError::bad_query("$expand goes too deep."));
    }
    check_select(&entity, select, expand)?;
    let mut expanded = Vec::new();
    for link in first_names(expand) {
        let (below_select, below_expand) = (below(select, &link), below(expand, &link));
        let prop = expand_link(world, viewer, node, &entity, &link, (&below_select, &below_expand), depth)?;
        expanded.push((link, prop));
    }
    let star = select.iter().any(|path| path.len() == 1 && path[0] == "*");
    let named = |name: &str| select.iter().any(|path| path[0] == name);
    entity.props.retain(|(name, prop)| match prop {
        Prop::Extra(_) => named(name),
        _ => select.is_empty() || named(name) || (star && !matches!(prop, Prop::Link)),
    });
    for (name, prop) in expanded {
        if select.is_empty() || star || named(&name) {
            entity.props.retain(|(mine, _)| *mine != name);
            entity.props.push((name, prop));
        }
    }
    Ok(Some(entity))
}

fn first_names(paths: &Names) -> Vec<String> {
    let mut names: Vec<String> = paths.iter().filter_map(|path| path.first().cloned()).collect();
    names.sort();
    names.dedup();
    names
}

fn below(paths: &Names, link: &str) -> Vec<Vec<String>> {
    let under = paths.iter().filter(|path| path.len() > 1 && path[0] == link);
    under.map(|path| path[1..].to_vec()).collect()
}

/// Refuses names that are not there, and names of linked entities without their `$expand`.
fn check_select(entity: &Entity, select: &Names, expand: &Names) -> Result<(), ApiError> {
    for path in select.iter().filter(|path| path[0] != "*") {
        let name = &path[0];
        // Entities without an `Id` take its name all the same: client libraries select it everywhere.
        if name == "Id" && entity.get(name).is_none() {
            continue;
        }
        let prop = entity.get(name).ok_or_else(|| {
            if entity.kind.starts_with("SP.Data.") {
                ApiError::no_field(name)
            } else {
                ApiError::bad_query(format!(
                    "Could not find a property named '{name}' on type '{}'.",
                    entity.kind
                ))
            }
        })?;
        let expanded = expand.iter().any(|path| path.first() == Some(name));
        if path.len() > 1 && !expanded && !matches!(prop, Prop::Complex(..)) {
            return Err(ApiError::bad_query(format!(
                "The query to field '{name}' is not valid. The $select query string must specify the target fields \
                 and the $expand query string must contain {name}."
            )));
        }
    }
    Ok(())
}

fn expand_link(
    world: &World,
    viewer: &Viewer,
    node: &Node,
    entity: &Entity,
    link: &str,
    (select, expand): (&Names, &Names),
    depth: usize,
) -> Result<Prop, ApiError> {
    match entity.get(link) {
        None => {
            let kind = &entity.kind;
            return Err(ApiError::bad_query(format!(
                "Could not find a property named '{link}' on type '{kind}'."
            )));
        }
        // Values of parts may be named in $expand; they are there anyway.
        Some(prop @ (Prop::Plain(_) | Prop::Complex(..))) => return Ok(prop.clone()),
        Some(Prop::Extra(value)) => return Ok(Prop::Plain(value.clone())),
        Some(_) => {}
    }
    let segment = Segment { name: link.to_lowercase(), arguments: Vec::new() };
    let target = step(world, node, viewer, &segment)?;
    if let Some(page) = list_nodes(world, viewer, &target, &QueryOptions::default())? {
        let rows: Result<Vec<Option<Entity>>, ApiError> = page
            .nodes
            .iter()
            .map(|node| project_at(world, viewer, node, select, expand, depth + 1))
            .collect();
        return Ok(Prop::Many(rows?.into_iter().flatten().collect()));
    }
    Ok(match project_at(world, viewer, &target, select, expand, depth + 1)? {
        Some(linked) => Prop::One(Box::new(linked)),
        None => Prop::Plain(serde_json::Value::Null),
    })
}
