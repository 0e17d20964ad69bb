//! SharePoint and OneDrive of the tenant, over REST.
