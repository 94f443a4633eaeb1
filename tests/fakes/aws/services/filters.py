"""Filters and pages, as most Describe calls have them."""
import fnmatch

from ..errors import AwsError


def tag_list(tags):
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def tag_map(tags):
    return {tag["Key"]: tag.get("Value", "") for tag in tags or []}


def matches(record, filters, fields):
    """Whether the record passes EC2-style filters; `fields` maps filter names to functions that give a value or a list."""
    for each in filters or []:
        name, wanted = each["Name"], each.get("Values", [])
        tags = record.get("tags", {})
        if name.startswith("tag:"):
            values = [tags[name[4:]]] if name[4:] in tags else []
        elif name == "tag-key":
            values = list(tags)
        elif name in fields:
            values = fields[name](record)
            values = values if isinstance(values, (list, tuple, set)) else [values]
        else:
            raise AwsError("InvalidParameterValue", f"The filter '{name}' is invalid", 400)
        texts = [("true" if v else "false") if isinstance(v, bool) else str(v) for v in values if v is not None]
        if not any(fnmatch.fnmatchcase(text, pattern.replace("[", "[[]")) for text in texts for pattern in wanted):
            return False
    return True


def page(call, found, member, default=1000):
    """One page of the answer, by MaxResults and NextToken."""
    token, count = call.get("NextToken"), call.get("MaxResults", default)
    try:
        start = int(token.removeprefix("page-")) if token else 0
    except ValueError:
        raise AwsError("InvalidNextToken" if call.service == "ec2" else "ValidationException", f"The token '{token}' is invalid", 400) from None
    answer = {member: found[start:start + count]}
    if len(found) > start + count:
        answer["NextToken"] = f"page-{start + count}"
    return answer
